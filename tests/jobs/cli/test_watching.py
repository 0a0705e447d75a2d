"""Waiting, with a clock that the test moves."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import Organization, User
from apps.jobs.cli.doors import Away, Json
from apps.jobs.cli.local import LocalDoor
from apps.jobs.cli.remote import RemoteDoor
from apps.jobs.cli.screens import Bars, Lines, status
from apps.jobs.cli.watching import NO_WORKER, Clock, Watch
from apps.jobs.models import BatchJob
from apps.queue import worker
from tests.batches import submit

pytestmark = pytest.mark.once

COUNTS = ("queued", "running", "retry_wait", "succeeded", "failed")
ENDS = ("quarantined", "cancelled", "rejected")


def a_job(**counts: int) -> Json:
    counts = dict.fromkeys((*COUNTS, *ENDS), 0) | counts
    counts["total"] = sum(counts.values())
    return {"state": "running", "counts": counts, "eta_seconds": None, "queue_position": None}


class TestClock:
    """Time passes only by sleeping; after `seconds` of it somebody presses Ctrl-C."""

    __test__ = False

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._end = seconds

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        if self.now > self._end:
            raise KeyboardInterrupt

    def clock(self) -> Clock:
        return Clock(now=lambda: self.now, sleep=self.sleep)


def said_while_waiting(user: User, job: BatchJob) -> list[str]:
    said: list[str] = []
    door, time = LocalDoor(user), TestClock(60)
    watch = Watch(door, Lines(said.append, lambda: time.now), time.clock())
    with pytest.raises(KeyboardInterrupt):
        watch.until_done([door.job(job.pk)])
    return said


def test_it_is_said_once_that_nobody_works(acme: Organization, alice: User) -> None:
    said = said_while_waiting(alice, submit(acme, "one", "two"))

    assert said == ["Job: 0 of 2 done", NO_WORKER]


def test_a_living_worker_may_take_its_time(acme: Organization, alice: User) -> None:
    worker.register(["default"], 1)

    assert said_while_waiting(alice, submit(acme, "one")) == ["Job: 0 of 1 done"]


def test_a_worker_of_other_lanes_is_none(acme: Organization, alice: User) -> None:
    worker.register(["ocr"], 1)

    assert NO_WORKER in said_while_waiting(alice, submit(acme, "one"))


def answers(*ways: Any) -> Callable[[], str]:
    """A function that raises or returns `ways`, one after the other."""
    left = list(ways)

    def ask() -> str:
        way = left.pop(0)
        if isinstance(way, Exception):
            raise way
        return str(way)

    return ask


def test_who_is_away_is_asked_ever_more_slowly_until_they_answer() -> None:
    said: list[str] = []
    time = TestClock(1000)
    watch = Watch(LocalDoor(None), Lines(said.append), time.clock())
    away = [Away("Gone."), Away("Busy.", retry_after=17), *[Away("Gone.")] * 6]

    assert watch.patiently(answers(*away, "back")) == "back"
    assert time.slept == [1, 17, 4, 8, 16, 30, 30, 30]
    assert said == ["Gone. The jobs go on; trying again until it answers.", "It answers again."]


def test_looking_stays_within_the_hourly_limit_of_the_api() -> None:
    """The API's limit is 100 a minute and 1000 an hour."""
    door = RemoteDoor("http://localhost", "dm_key", say=str)
    door.close()
    for jobs in (1, 4):
        waited, looks, in_first_minute = 0.0, 0, 0
        while waited < 3600:
            looks += jobs
            in_first_minute += jobs if waited < 60 else 0
            waited += door.pause_seconds(waited, jobs)
        assert looks < 800
        assert in_first_minute < 60


def test_lines_come_once_a_second_and_for_the_end_at_once() -> None:
    now, said = [0.0], list[str]()
    lines = Lines(said.append, lambda: now[0])
    steps = [(0.0, 0), (0.2, 1), (0.9, 2), (1.1, 3), (1.2, 3), (3.0, 3)]
    for now[0], finished in steps:
        lines.show([a_job(succeeded=finished, queued=5 - finished)])
    lines.show([a_job(succeeded=5) | {"state": "succeeded"}])

    assert said == ["Job: 0 of 5 done", "Job: 3 of 5 done", "Job: 5 of 5 done, succeeded"]


def test_words_beside_the_bars_stay_off_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bars = Bars()
    bars.show([a_job(queued=1) | {"progress": 0.0}] * 2)
    bars.say("No worker is running.")
    bars.close()

    shown = capsys.readouterr()
    assert "No worker is running.\n" in shown.err
    assert "Job 2 of 2: 0 of 1 done" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (a_job(queued=2) | {"queue_position": 7}, "0 of 2 done, 7 before it"),
        (a_job(running=1, succeeded=1) | {"eta_seconds": 90}, "1 running, about 1 min left"),
        (a_job(failed=1, quarantined=1, rejected=1), "3 of 3 done, 1 rejected, 2 failed"),
        (a_job(retry_wait=1), "0 of 1 done, 1 to be tried again"),
        (a_job(cancelled=2) | {"state": "cancelled"}, "2 cancelled, cancelled"),
    ],
)
def test_where_a_job_stands(job: Json, words: str) -> None:
    assert words in status(job)
