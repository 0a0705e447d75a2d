import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from apps.health import runs
from apps.health.report import Finding
from apps.health.runs import Chain, Probe, examine
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


@pytest.mark.alone  # it measures
def test_hanging_probes_cost_one_deadline_together(hanging: Hanging) -> None:
    wall = [Probe(f"wall-{n}", hanging, type=lambda: "brick") for n in range(5)]
    quick = Probe("quick", lambda: Finding("ok", "fast"), type=lambda: "fast")
    started = time.monotonic()
    findings = examine([*map(Chain, wall), Chain(quick)])
    assert time.monotonic() - started < 1.0
    assert {findings[probe.name].status for probe in wall} == {"timeout"}
    assert findings["wall-0"].type == "brick"
    assert findings["wall-0"].latency_ms >= 700
    assert findings["quick"].status == "ok"


@pytest.mark.alone  # it measures
def test_a_hanging_probe_is_not_started_again_by_every_request(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "DEADLINE_SECONDS", 0.05)
    chain = Chain(Probe("crowd", hanging, type=lambda: "brick", late="checking"))
    for _ in range(4):
        assert examine([chain])["crowd"].status == "checking"
    assert hanging.starts == 1
    started = time.monotonic()
    for _ in range(50):  # known to hang: nobody waits for it anew
        examine([chain])
    assert time.monotonic() - started < 1.0


def test_a_probe_that_hangs_for_good_is_given_up(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "DEADLINE_SECONDS", 0.05)
    monkeypatch.setattr(runs, "FORGET_SECONDS", 0.01)
    chain = Chain(Probe("forgotten", hanging, type=lambda: "brick"))
    before = threading.active_count()
    for _ in range(12):
        assert examine([chain])["forgotten"].status == "timeout"
    assert hanging.starts == 1 + runs.MAX_HANGING
    assert threading.active_count() <= before + 1 + runs.MAX_HANGING
    hanging.released.set()
    assert eventually(lambda: examine([chain])["forgotten"].status == "connected")


def test_what_was_just_found_answers_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look() -> Finding:
        looks.append(1)
        return Finding("ok", "cheap")

    monkeypatch.setattr(runs, "FRESH_SECONDS", 60.0)
    chain = Chain(Probe("shared", look, type=lambda: "cheap"))
    for _ in range(20):
        examine([chain])
    assert len(looks) == 1
    monkeypatch.setattr(runs, "FRESH_SECONDS", 0.0)
    examine([chain])
    assert len(looks) == 2


def test_what_rests_on_a_vital_one_that_failed_is_unknown() -> None:
    found = examine(
        [
            Chain(
                Probe("ground", lambda: Finding("failed", "rock"), type=str, is_vital=True),
                Probe("house", lambda: Finding("ok", "brick"), type=lambda: "brick"),
            )
        ]
    )
    assert (found["ground"].status, found["house"].status) == ("failed", "unknown")
    assert found["house"].type == "brick"


def test_latency_is_that_of_the_look() -> None:
    def look() -> Finding:
        time.sleep(0.05)
        return Finding("ok", "slow")

    [found] = examine([Chain(Probe("slow", look, type=lambda: "slow"))]).values()
    assert 50 <= found.latency_ms < 800


def test_a_fault_in_a_probe_shows_as_failed_and_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))

    def look() -> Finding:
        raise LookupError("not expected")

    [found] = examine([Chain(Probe("faulty", look, type=lambda: "thing"))]).values()
    assert (found.status, found.type) == ("failed", "thing")
    assert eventually(lambda: reported) == [LookupError]


def test_one_that_found_all_and_then_hangs_is_not_told_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "FORGET_SECONDS", 0.05)
    end, looks = threading.Event(), []

    @contextmanager
    def hanging_at_the_end() -> Iterator[None]:
        yield
        end.wait(30)

    def look() -> Finding:
        looks.append(1)
        return Finding("ok", "thing")

    chain = Chain(Probe("thing", look, type=lambda: "thing"), around=hanging_at_the_end)
    try:
        examine([chain])
        time.sleep(0.1)
        examine([chain])
        assert len(looks) == 2
    finally:
        end.set()
