import threading
import time
from collections.abc import Iterator

import pytest

from apps.health import probes
from apps.health.probes import Probe, examine
from apps.health.report import Finding
from tests.processes import eventually


class Hanging:
    """A probe that does not come back until it is let go; counts how often it was started."""

    def __init__(self) -> None:
        self.starts = 0
        self.released = threading.Event()

    def __call__(self) -> Finding:
        self.starts += 1
        self.released.wait(30)
        return Finding("connected", "late")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    look = Hanging()
    yield look
    look.released.set()


def test_hanging_probes_cost_one_deadline_together(hanging: Hanging) -> None:
    wall = [Probe(f"wall-{n}", hanging, type=lambda: "brick") for n in range(5)]
    quick = Probe("quick", lambda: Finding("ok", "fast"), type=lambda: "fast")
    started = time.monotonic()
    findings = examine([*wall, quick])
    assert time.monotonic() - started < 1.0
    assert {findings[probe.name].status for probe in wall} == {"timeout"}
    assert findings["wall-0"].type == "brick"
    assert findings["wall-0"].latency_ms >= 700
    assert findings["quick"].status == "ok"


def test_a_hanging_probe_is_not_started_again_by_every_request(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "DEADLINE_SECONDS", 0.05)
    probe = Probe("crowd", hanging, type=lambda: "brick", late="checking")
    for _ in range(4):
        assert examine([probe])["crowd"].status == "checking"
    assert hanging.starts == 1


def test_a_probe_that_hangs_for_good_is_given_up(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "DEADLINE_SECONDS", 0.05)
    monkeypatch.setattr(probes, "FORGET_SECONDS", 0.01)
    probe = Probe("forgotten", hanging, type=lambda: "brick")
    examine([probe])
    examine([probe])
    assert hanging.starts == 2


def test_latency_is_that_of_the_look() -> None:
    def look() -> Finding:
        time.sleep(0.05)
        return Finding("ok", "slow")

    [found] = examine([Probe("slow", look, type=lambda: "slow")]).values()
    assert 50 <= found.latency_ms < 800


def test_a_fault_in_a_probe_shows_as_failed_and_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))

    def look() -> Finding:
        raise LookupError("not expected")

    [found] = examine([Probe("faulty", look, type=lambda: "thing")]).values()
    assert (found.status, found.type) == ("failed", "thing")
    assert eventually(lambda: reported) == [LookupError]
