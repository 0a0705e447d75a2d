"""Recurring work runs once when it is due, wherever, and survives its own errors and its beat."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as plain_settings
from django.core.management import call_command
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.queue import schedule
from apps.queue.models import RUN_LEASE, PeriodicRun
from apps.queue.schedule import AskedAlready, InlineScheduler, ask_to_run, begin, perform
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

calls: list[str] = []
release = threading.Event()


def note() -> None:
    calls.append("noted")


def note_other() -> None:
    calls.append("other")


def break_down() -> None:
    raise RuntimeError("the sweep broke")


def wait() -> None:
    """Runs until the test is over."""
    calls.append("waits")
    release.wait(20)


@pytest.fixture(autouse=True)
def _no_calls() -> Iterator[None]:
    calls.clear()
    release.clear()
    yield
    release.set()
    for thread in threading.enumerate():
        if thread.name == "entry":
            thread.join()


Beat = Callable[..., InlineScheduler]


@pytest.fixture
def beat(settings: Settings) -> Beat:
    """Makes a scheduler with an entry that is due every `seconds`; more: task=seconds."""

    def make(task: str = "note", seconds: float = 3600, **more: float) -> InlineScheduler:
        entries = {"entry": (task, seconds)} | {name: (name, every) for name, every in more.items()}
        settings.CELERY_BEAT_SCHEDULE = {
            name: {
                "task": f"{__name__}.{task}",
                "schedule": seconds,
                "options": {"label": name.title(), "does": "Does it."},
            }
            for name, (task, seconds) in entries.items()
        }
        return InlineScheduler(current_app)

    return make


def tick_for(seconds: float, *schedulers: InlineScheduler) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(max(0, min(left, *(each.tick() for each in schedulers))))


def the_run(**changes: Any) -> PeriodicRun:
    """The entry's row, after `changes`."""
    PeriodicRun.objects.filter(pk="entry").update(**changes)
    run: PeriodicRun = PeriodicRun.objects.scheduled().get(pk="entry")
    return run


def ago(**span: float) -> Any:
    return Now() - timedelta(**span)


def finished() -> PeriodicRun:
    return eventually(
        lambda: PeriodicRun.objects.filter(pk="entry").exclude(finished_at=None).first()
    )


# --- when it is due --------------------------------------------------------------------------


NOON = timezone.make_aware(timezone.datetime(2026, 5, 4, 12))
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("what", "is_due"),
    [
        ({}, True),
        ({"started_at": NOON - HOUR, "finished_at": NOON}, True),
        ({"started_at": NOON - 30 * HOUR, "finished_at": NOON - 29 * HOUR}, True),
        ({"started_at": NOON - HOUR / 2, "finished_at": NOON}, False),
        ({"started_at": NOON, "finished_at": NOON}, False),
        # asked for
        ({"started_at": NOON - MINUTE, "finished_at": NOON, "requested_at": NOON}, True),
        ({"requested_at": NOON}, True),
        # begun and not finished: alive, even for longer than its hour; or dead
        ({"started_at": NOON - MINUTE, "lease_expires_at": NOON + MINUTE / 2}, False),
        ({"started_at": NOON - 3 * HOUR, "lease_expires_at": NOON + MINUTE}, False),
        ({"started_at": NOON - MINUTE, "lease_expires_at": NOON}, True),
        (
            {
                "started_at": NOON - MINUTE,
                "lease_expires_at": NOON + MINUTE,
                "requested_at": NOON,
            },
            False,
        ),
        # it was written while it was read
        ({"started_at": NOON + SECOND, "finished_at": NOON + SECOND}, False),
        ({"started_at": NOON + SECOND, "lease_expires_at": NOON + MINUTE + SECOND}, False),
        # the clock was set back by hours, after it had ended or while it ran
        ({"started_at": NOON + 5 * HOUR, "finished_at": NOON + 5 * HOUR}, True),
        ({"started_at": NOON + 5 * HOUR, "lease_expires_at": NOON + 5 * HOUR}, True),
    ],
)
def test_what_is_due(beat: Beat, what: dict[str, Any], is_due: bool) -> None:
    beat("note", HOUR.total_seconds())
    run = PeriodicRun(name="entry", **what)
    assert run.is_due(NOON) is is_due
    assert is_due or run.seconds_left(NOON) > 0


def test_it_runs_when_it_is_due_and_the_row_tells(beat: Beat) -> None:
    tick_for(0.55, beat("note", 0.1))
    assert 3 <= len(calls) <= 6
    run = finished()
    assert (run.runs, run.error) == (len(calls), "")
    assert run.started_at <= run.finished_at


def test_what_was_missed_runs_when_beat_starts(beat: Beat) -> None:
    scheduler = beat("note", 86400)
    scheduler.tick()
    finished()
    the_run(started_at=ago(hours=25), finished_at=ago(hours=24.9))
    beat("note", 86400).tick()
    eventually(lambda: calls == ["noted", "noted"])


def test_what_ran_lately_does_not_run_again_when_beat_restarts(beat: Beat) -> None:
    beat("note", 86400).tick()
    finished()
    the_run(started_at=ago(hours=23), finished_at=ago(hours=22.9))
    tick_for(0.3, beat("note", 86400))
    assert calls == ["noted"]


def test_a_row_that_the_settings_do_not_have_is_left_alone(beat: Beat) -> None:
    PeriodicRun.objects.create(name="from an older version")
    tick_for(0.2, beat("note", 0.1))
    assert PeriodicRun.objects.get(name="from an older version").runs == 0


# --- two beats, dead beats ----------------------------------------------------------------------


def test_two_beats_share_the_work(beat: Beat) -> None:
    tick_for(0.55, beat("note", 0.1), beat("note", 0.1))
    assert 3 <= len(calls) <= 6


def test_a_run_is_begun_once(beat: Beat) -> None:
    beat().tick()
    finished()
    first, second = the_run(), the_run()
    assert [begin(first), begin(second)] == [True, False]


def test_a_run_that_was_cut_short_runs_again_and_not_while_it_may_be_alive(
    beat: Beat, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = beat("note", 86400)
    scheduler.tick()
    finished()
    the_run(finished_at=None, lease_expires_at=Now() + timedelta(seconds=0.4))
    tick_for(0.2, scheduler)
    assert calls == ["noted"]
    tick_for(1.3, scheduler)
    eventually(lambda: calls == ["noted", "noted"])
    assert "entry was cut short and runs again" in caplog.text


def test_what_is_due_often_waits_no_longer_for_a_dead_beat_than_for_its_time(beat: Beat) -> None:
    scheduler = beat("note", 0.3)
    PeriodicRun.objects.create(name="entry")
    assert begin(the_run())  # and never finished
    tick_for(0.7, scheduler)
    assert calls


def test_the_end_of_a_run_that_was_taken_for_dead_is_not_written(beat: Beat) -> None:
    beat("break_down", 86400)
    PeriodicRun.objects.create(name="entry")
    late = the_run()
    assert begin(late)
    assert begin(the_run())
    perform(late)
    assert (the_run().finished_at, the_run().error) == (None, "")


# --- errors, absence of the database, clocks ------------------------------------------------------


def test_an_error_is_stored_until_the_next_run_has_ended_well(beat: Beat) -> None:
    beat("break_down").tick()
    assert finished().error == "RuntimeError: the sweep broke"
    scheduler = beat("note")
    run = the_run(started_at=ago(hours=2), finished_at=ago(hours=2))
    assert begin(run)
    assert the_run().error
    perform(run)
    assert the_run().error == ""
    scheduler.tick()
    assert calls == ["noted"]


def test_beat_goes_on_after_an_error(beat: Beat) -> None:
    tick_for(0.3, beat("break_down", 0.1, note_other=0.1))
    assert len(calls) > 1


def test_beat_goes_on_while_the_database_is_away(
    beat: Beat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("gone")

    scheduler = beat("note", 0.1)
    with monkeypatch.context() as away:
        away.setattr(schedule, "begin", gone)
        away.setattr(schedule, "connection", SimpleNamespace(close=lambda: calls.append("closed")))
        tick_for(0.25, scheduler)
    assert calls == ["closed"]
    tick_for(0.25, scheduler)
    assert "noted" in calls


def test_a_clock_that_was_set_back_stops_nothing(beat: Beat) -> None:
    scheduler = beat("note", 0.1)
    scheduler.tick()
    the_run(started_at=ago(hours=-1), finished_at=ago(hours=-1))
    tick_for(0.35, scheduler)
    assert len(calls) >= 3


# --- slow work ----------------------------------------------------------------------------------


def test_slow_work_does_not_stop_what_is_due_often(beat: Beat) -> None:
    scheduler = beat("wait", 86400, note_other=0.1)
    tick_for(0.6, scheduler)
    assert calls.count("waits") == 1
    assert calls.count("other") >= 3


def test_a_run_that_takes_long_is_not_begun_by_another_beat(
    beat: Beat, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("models", "schedule"):
        monkeypatch.setattr(f"apps.queue.{module}.RUN_LEASE", timedelta(seconds=0.8))
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.05)
    first, second = beat("wait", 86400), beat("wait", 86400)
    tick_for(2, first, second)
    assert calls == ["waits"]
    # The one that has it is gone: nobody shows that it is alive any more.
    owner = first if first._apart else second
    tick_for(2, second if owner is first else first)
    assert calls == ["waits", "waits"]


def test_the_lease_is_longer_than_a_few_looks() -> None:
    assert timedelta(seconds=20 * schedule.LOOK_SECONDS) < RUN_LEASE


# --- run now ------------------------------------------------------------------------------------


def test_what_is_asked_for_runs_once_at_the_next_look(beat: Beat, alice: User) -> None:
    scheduler = beat("note", 86400)
    scheduler.tick()
    ask_to_run(finished(), actor=alice)
    with pytest.raises(AskedAlready, match="is beat running"):
        ask_to_run(the_run(), actor=alice)
    tick_for(0.3, scheduler)
    eventually(lambda: calls == ["noted", "noted"])
    assert the_run().requested_at is None


def test_what_is_asked_for_while_it_runs_runs_again_after(beat: Beat, alice: User) -> None:
    scheduler = beat("wait", 86400)
    scheduler.tick()
    eventually(lambda: calls == ["waits"])
    ask_to_run(the_run(), actor=alice)
    tick_for(0.2, scheduler)
    assert calls == ["waits"]
    release.set()
    finished()
    scheduler.tick()
    eventually(lambda: calls == ["waits", "waits"])


# --- the schedule itself ------------------------------------------------------------------------


def test_every_entry_can_be_imported_and_says_what_it_does() -> None:
    for run in schedule.scheduled_runs():
        assert callable(schedule.import_string(run.recurring.task))
        assert run.recurring.label
        assert run.recurring.does.endswith(".")
    assert next(iter(plain_settings.CELERY_BEAT_SCHEDULE)) == "sweep"


def test_a_signal_whose_exception_is_swallowed_ends_it_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it is where a callback of weakref happens to run."""
    ticks: list[str] = []

    def tick(_: InlineScheduler) -> float:
        ticks.append("tick")
        assert len(ticks) == 1
        with suppress(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(InlineScheduler, "tick", tick)
    before = signal.getsignal(signal.SIGTERM)
    try:
        call_command("beat", skip_checks=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ticks == ["tick"]
