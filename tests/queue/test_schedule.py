"""Recurring work runs once per slot, wherever it is due, and survives its own errors."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from celery import current_app
from django.db import OperationalError
from pytest_django import Settings

from apps.queue import schedule
from apps.queue.models import PeriodicRun
from apps.queue.schedule import InlineScheduler, run_once

pytestmark = pytest.mark.django_db(transaction=True)

calls: list[str] = []


def note() -> None:
    calls.append("called")


def break_down() -> None:
    raise RuntimeError("the sweep broke")


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@pytest.fixture
def beat(settings: Settings) -> Iterator[Callable[..., InlineScheduler]]:
    """Makes a scheduler with one entry that is due every `seconds`."""
    before = current_app.conf.beat_schedule

    def make(task: str, seconds: float) -> InlineScheduler:
        current_app.conf.beat_schedule = {
            "entry": {"task": f"{__name__}.{task}", "schedule": seconds}
        }
        return InlineScheduler(current_app)

    yield make
    current_app.conf.beat_schedule = before


def tick_for(scheduler: InlineScheduler, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(max(0, min(scheduler.tick(), left)))


def test_a_slot_is_run_once() -> None:
    assert [run_once("sweep", slot, note) for slot in (7, 7, 8, 7, 8, 9)] == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]
    assert len(calls) == 3


def test_each_entry_has_slots_of_its_own() -> None:
    assert run_once("sweep", 7, note)
    assert run_once("other", 7, note)


def test_the_run_is_on_record() -> None:
    run_once("sweep", 7, note)
    run = PeriodicRun.objects.get(name="sweep")
    assert (run.slot, run.error) == (7, "")
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.started_at <= run.finished_at


def test_an_error_is_stored_and_forgotten_with_the_next_good_run() -> None:
    assert run_once("sweep", 7, break_down)
    run = PeriodicRun.objects.get()
    assert (run.error, run.finished_at is None) == ("RuntimeError: the sweep broke", False)
    run_once("sweep", 8, note)
    run.refresh_from_db()
    assert run.error == ""


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    hour = 720  # slots of five seconds
    assert run_once("sweep", 10_000 + hour, note)
    assert run_once("sweep", 10_000, note)
    assert run_once("sweep", 10_001, note)
    assert not run_once("sweep", 10_001, note)


def test_beat_runs_what_is_due_in_its_own_process(beat: Callable[..., InlineScheduler]) -> None:
    tick_for(beat("note", 0.1), 0.55)
    assert 3 <= len(calls) <= 6
    assert PeriodicRun.objects.get().name == "entry"


def test_beat_goes_on_after_an_error(beat: Callable[..., InlineScheduler]) -> None:
    tick_for(beat("break_down", 0.1), 0.3)
    assert PeriodicRun.objects.get().error == "RuntimeError: the sweep broke"


def test_beat_goes_on_while_the_database_is_away(
    beat: Callable[..., InlineScheduler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("gone")

    scheduler = beat("note", 0.1)
    with monkeypatch.context() as away:
        away.setattr(schedule, "run_once", gone)
        away.setattr(schedule, "connection", SimpleNamespace(close=lambda: calls.append("closed")))
        tick_for(scheduler, 0.25)
    assert "closed" in calls
    assert "called" not in calls
    tick_for(scheduler, 0.25)
    assert "called" in calls


def test_beat_goes_on_when_the_clock_is_set_back(beat: Callable[..., InlineScheduler]) -> None:
    """What beat remembers of the time before is an hour ahead then."""
    scheduler = beat("note", 0.1)
    scheduler.tick()
    [event] = scheduler._heap
    event.entry.last_run_at += timedelta(hours=1)
    scheduler._heap = [event._replace(time=event.time + 3600)]
    scheduler._ticked_at += 3600
    tick_for(scheduler, 0.35)
    assert calls


def test_two_beats_share_the_work(beat: Callable[..., InlineScheduler]) -> None:
    first, second = beat("note", 0.1), beat("note", 0.1)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        time.sleep(max(0, min(first.tick(), second.tick(), 0.02)))
    assert 3 <= len(calls) <= 6
