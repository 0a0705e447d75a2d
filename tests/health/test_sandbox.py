from collections.abc import Callable, Sequence

import pytest
from django.test import Client

from apps.health import probes, sandbox
from apps.health.runs import Chain, Probe
from apps.health.sandbox import Look
from apps.processors import host, spawn
from apps.processors.host import Isolation
from tests.processes import eventually

pytestmark = pytest.mark.once

STRONG = Isolation(
    user="nobody",
    network="filter",
    processes="filter",
    files="landlock 7",
    memory="capped",
    parents_death="kernel",
)
SAYING = "import sys; sys.path[:] = sys.argv[1:]; from apps.processors import {}; "
READ = "from apps.processors.child import main; main()"
# As on kernels without a filter of system calls and without Landlock.
NO_FILTER = SAYING.format("seccomp") + "seccomp.refuse_calls = lambda: False; " + READ
NO_FENCE = SAYING.format("landlock") + "landlock.version = lambda: 0; " + READ


@pytest.fixture
def as_started(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda start: monkeypatch.setattr(spawn, "START", start)


def test_here_it_is_isolated() -> None:
    found = Look()()
    assert (found.status, found.type) == ("isolated", "reader")


def test_a_kernel_without_filter_is_told(as_started: Callable[[str], None]) -> None:
    as_started(NO_FILTER)
    found = Look()()
    assert found.status == "weak"
    assert "processes" in found.type.split("+")


def test_a_kernel_without_landlock_is_told_by_health(
    as_started: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_started(NO_FENCE)
    look = Look()
    look()  # the answer of the second has it ready
    monkeypatch.setattr(probes, "CHAINS", [Chain(Probe("sandbox", look, type=lambda: "reader"))])
    answer = Client().get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "degraded")
    assert body["checks"]["sandbox"]["status"] == "weak"
    assert body["checks"]["sandbox"]["type"] == "files"


def test_a_reader_that_does_not_start_is_tried_again_later(
    as_started: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Look()
    as_started("raise SystemExit(1)")
    assert look().status == "failed"
    monkeypatch.setattr(sandbox, "isolation_in_force", lambda: STRONG)
    assert look().status == "failed"
    look._valid_until = 0.0
    assert look().status == "isolated"


def test_what_was_seen_once_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    real = host.isolation_in_force

    def counted() -> Isolation:
        started.append(1)
        return real()

    monkeypatch.setattr(sandbox, "isolation_in_force", counted)
    look = Look()
    assert look() == look()
    assert started == [1]


def test_a_reader_that_ends_before_it_is_told_anything_does_not_start(
    as_started: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = spawn.Child.prepare

    def prepare_late(child: spawn.Child, processors: Sequence[str]) -> None:
        eventually(lambda: not child.is_alive())
        prepare(child, processors)

    monkeypatch.setattr(spawn.Child, "prepare", prepare_late)
    as_started("raise SystemExit(1)")
    assert Look()().status == "failed"
