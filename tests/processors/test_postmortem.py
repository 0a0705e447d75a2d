import signal

import pytest

from apps.processors.postmortem import Death, cause

pytestmark = pytest.mark.once

GIGABYTE = 1024**3


@pytest.mark.parametrize(
    ("death", "code"),
    [
        (Death(-signal.SIGXCPU), "processor.timeout"),
        (Death(-signal.SIGKILL), "processor.crashed"),
        (Death(-signal.SIGKILL, grown_bytes=GIGABYTE, room_bytes=GIGABYTE), "processor.crashed"),
        (Death(-signal.SIGABRT), "processor.crashed"),
        (Death(-signal.SIGABRT, grown_bytes=GIGABYTE, room_bytes=GIGABYTE), "processor.memory"),
        (
            Death(-signal.SIGABRT, grown_bytes=GIGABYTE // 3 + 1, room_bytes=GIGABYTE),
            "processor.memory",
        ),
        (
            Death(-signal.SIGABRT, grown_bytes=GIGABYTE // 4, room_bytes=GIGABYTE),
            "processor.crashed",
        ),
        (Death(-signal.SIGSEGV, grown_bytes=GIGABYTE, room_bytes=GIGABYTE), "processor.memory"),
        (Death(-signal.SIGABRT, stderr="memory allocation of 99 bytes failed"), "processor.memory"),
        (Death(-signal.SIGABRT, stderr="what(): std::bad_alloc"), "processor.memory"),
        (Death(1, stderr="MemoryError"), "processor.memory"),
        (Death(1, stderr="KeyError"), "processor.crashed"),
        (Death(0, stderr="out of memory"), "processor.crashed"),
        (Death(-63), "processor.crashed"),
    ],
)
def test_how_it_ended_tells_why(death: Death, code: str) -> None:
    error = cause(death)
    assert error.code == code
    assert error.detail.endswith(".")
