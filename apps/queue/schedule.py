"""Recurring work: a row in `PeriodicRun` says what is due, and whoever moves it on runs it.

Celery's beat turns the wheel only. Its own scheduler publishes messages and blocks while the broker
is away; it remembers nothing over a restart, so that what is due once a day never runs where beat
restarts daily; and it goes by the clock of its machine. Here all times are the database's, any
number of beats may run, and leases are taken back with no broker at all.
"""

import logging
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.beat import Scheduler
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from apps.accounts.models import User
from apps.audit.services import record
from apps.core import pulse
from apps.core.ending import reason
from apps.core.errors import DocmillError
from apps.queue.models import RUN_LEASE, PeriodicRun, in_seconds
from apps.queue.recurring import recurring

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How soon a run that somebody asked for begins."""
QUICK_BELOW = timedelta(minutes=1)
"""What is due more often runs in beat's own thread, one after the other, and must be quick; the
rest has a thread and a database connection for each run, so that nothing waits for it."""


class AskedAlready(DocmillError):
    title = "The run was asked for before"


@transaction.atomic
def ask_to_run(run: PeriodicRun, *, actor: User) -> None:
    """Has beat run it at its next look, even when it is not due. Raises AskedAlready."""
    if not PeriodicRun.objects.filter(pk=run.pk, requested_at=None).update(requested_at=Now()):
        raise AskedAlready("It was asked for before and has not begun yet: is beat running?")
    record(
        organization=None, actor=actor, action="schedule.run", target="schedule", target_id=run.pk
    )


def scheduled_runs() -> list[PeriodicRun]:
    """The row of each piece of recurring work in the order of the settings, made where there is
    none, with the database's time in `now`."""
    names = recurring()
    found = {run.pk: run for run in PeriodicRun.objects.scheduled()}
    if missing := [PeriodicRun(name=name) for name in names if name not in found]:
        PeriodicRun.objects.bulk_create(missing, ignore_conflicts=True)
        found = {run.pk: run for run in PeriodicRun.objects.scheduled()}
    return [found[name] for name in names]


def begin(run: PeriodicRun) -> bool:
    """Makes the next run this process's own; not when another has begun it since it was read."""
    lease = min(RUN_LEASE, run.recurring.every)  # one that died is not waited for longer than that
    begun = PeriodicRun.objects.filter(pk=run.pk, runs=run.runs).update(
        runs=run.runs + 1,
        started_at=Now(),
        finished_at=None,
        requested_at=None,
        lease_expires_at=in_seconds(lease.total_seconds()),
    )
    if begun and run.was_cut_short(run.now):
        logger.warning("recurring work %s was cut short and runs again", run.pk)
    run.runs += 1
    return bool(begun)


def perform(run: PeriodicRun) -> None:
    """Does the work of a run that has begun; an error is stored and logged."""
    error = ""
    try:
        import_string(run.recurring.task)()
    except Exception as failed:  # one entry's bug must not stop the others
        logger.exception("recurring work %s failed", run.pk)
        error = f"{type(failed).__name__}: {failed}"[:500]
    # Not when another beat took this one for dead and has begun the next.
    mine = PeriodicRun.objects.filter(pk=run.pk, runs=run.runs)
    mine.update(finished_at=Now(), error=error)


def _perform_apart(run: PeriodicRun) -> None:
    try:
        perform(run)
    except DatabaseError as error:
        logger.warning("recurring work %s: %s", run.pk, reason(error)[1])
    finally:
        connection.close()


class InlineScheduler(Scheduler):
    """A beat scheduler that does the work in its own process, as its rows say."""

    pulse_file: Path | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._apart: dict[threading.Thread, PeriodicRun] = {}
        self._renewed_at = 0.0
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Starts all that is due. Seconds until the next tick."""
        pulse.beat(self.pulse_file)
        try:
            self._renew()
            return self._start_due()
        except DatabaseError as error:
            logger.warning("recurring work: %s", reason(error)[1])
            connection.close()
            return LOOK_SECONDS
        finally:
            close_old_connections()

    def _start_due(self) -> float:
        wait = LOOK_SECONDS
        for run in scheduled_runs():
            if not run.is_due(run.now):
                wait = min(wait, run.seconds_left(run.now))
            elif begin(run):
                self._start(run)
                wait = 0
        return wait

    def _start(self, run: PeriodicRun) -> None:
        if run.recurring.every < QUICK_BELOW:
            perform(run)
            return
        # A daemon: a stop does not wait for it, and what it left is run again by the next beat.
        thread = threading.Thread(target=_perform_apart, args=(run,), name=run.pk, daemon=True)
        thread.start()
        self._apart[thread] = run

    def _renew(self) -> None:
        """Shows other beats that what runs apart is alive."""
        if time.monotonic() < self._renewed_at + RUN_LEASE.total_seconds() / 4:
            return
        self._apart = {thread: run for thread, run in self._apart.items() if thread.is_alive()}
        for run in self._apart.values():
            PeriodicRun.objects.filter(pk=run.pk, runs=run.runs).update(
                lease_expires_at=in_seconds(RUN_LEASE.total_seconds())
            )
        self._renewed_at = time.monotonic()
