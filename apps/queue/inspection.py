"""Whether the queue keeps what it promises: looks at its rows, changes nothing.

Every query goes by an index or reads few rows, so that a million attempts cost milliseconds, and
is one statement, so that work under way is seen before or after a step of it, never in between.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now

from apps.queue.claim import CLOCK
from apps.queue.doorbell import live_slots
from apps.queue.findings import (
    BROKEN,
    EXAMPLES,
    OK,
    WEAK,
    Finding,
    Promise,
    is_overdue,
    silence,
    skew,
    skew_status,
)
from apps.queue.handlers import Handler, handler_classes
from apps.queue.lanes import due_count, lane_names
from apps.queue.models import Pause, PeriodicRun, WorkerNode, in_seconds
from apps.queue.states import State

SLACK_SECONDS = 10.0
"""What a sweep, a beat or a busy machine may be late."""
LANE_UNSERVED_SECONDS = 60.0
"""How long a row may be due with no worker there: one may just be starting."""
PAUSE_KEPT_SECONDS = 3600.0
"""How long an expired pause is no rubbish yet."""
SKEW_SECONDS = 2.0
SKEW_BROKEN_SECONDS = 300.0
"""From here on idempotency keys, expiry dates and sessions are noticeably wrong."""
SWEEP = "sweep"
"""The recurring work that everything else waits for."""

STUCK = Promise(
    "stuck leases",
    BROKEN,
    "their workers are gone and nobody took the rows back: start beat, or run doctor --fix.",
)
UNKEPT = Promise(
    "unkept leases",
    WEAK,
    "their workers are not listed and do not renew: the sweep takes them back when they run out.",
)
OPEN_ATTEMPTS = Promise(
    "open attempts",
    BROKEN,
    "attempts are open for rows that do not run by them: doctor --fix closes them.",
)
DOUBLED = Promise(
    "doubled attempts",
    BROKEN,
    "a row has more than one open attempt: doctor --fix closes those that have no lease.",
)
UNSERVED = Promise(
    "unserved lanes",
    BROKEN,
    "rows wait and no worker serves the lane: start one with manage.py work --lanes LANE.",
)
DEAD = Promise(
    "dead workers",
    WEAK,
    "they are listed but do not show themselves: restart them, and doctor --fix forgets the old.",
)
BEAT = Promise(
    "beat", BROKEN, "no sweep has run lately: start manage.py beat, or look into its log."
)
FAILED = Promise(
    "recurring work", BROKEN, "its last run failed: the log of beat has the traceback."
)
LATE = Promise("overdue work", WEAK, "it should have run since: see whether beat hangs or is slow.")
CLOCK_SKEW = Promise(
    "clock", BROKEN, "this machine and the database differ: run a time service such as NTP on both."
)
PAUSES = Promise("expired pauses", WEAK, "they hold nothing back any more: doctor --fix deletes.")


def inspect() -> list[Finding]:
    """A finding for each promise of the queue, those that hold too. Changes nothing."""
    return [
        _of_rows(STUCK, [stuck(handler) for handler in handler_classes()]),
        _of_rows(UNKEPT, [unkept(handler) for handler in handler_classes()]),
        _of_rows(OPEN_ATTEMPTS, [stray_attempts(handler) for handler in handler_classes()]),
        _doubled(),
        _unserved(),
        _dead(),
        _beat(),
        *_recurring(),
        _clock(),
        _pauses(),
    ]


def stuck(handler: type[Handler]) -> QuerySet[Any]:
    """Rows whose lease ran out before the sweeps of lately, which should have taken them back."""
    grace = 2 * settings.SWEEP_SECONDS + SLACK_SECONDS
    rows: QuerySet[Any] = handler.model.objects.running()
    return rows.filter(lease_expires_at__lt=in_seconds(-grace))


def unkept(handler: type[Handler]) -> QuerySet[Any]:
    """Rows with a lease that holds, of a worker that is not listed and has missed two renewals.

    Not listed alone says nothing: a worker that is told to stop finishes what it has.
    """
    left = settings.LEASE_SECONDS - 3 * settings.LEASE_RENEW_SECONDS
    rows: QuerySet[Any] = handler.model.objects.running()
    return rows.filter(lease_expires_at__gte=Now(), lease_expires_at__lt=in_seconds(left)).exclude(
        worker_id__in=WorkerNode.objects.values("id")
    )


def stray_attempts(handler: type[Handler]) -> QuerySet[Any]:
    """Open attempts by whose lease no row runs."""
    attempts: QuerySet[Any] = handler.attempt_model.objects.filter(ended_at=None)
    return attempts.exclude(row__state=State.RUNNING, row__lease_token=F("lease_token"))


def dead_workers() -> QuerySet[WorkerNode]:
    """Workers that are listed and have not shown themselves for a while."""
    return WorkerNode.objects.filter(seen_at__lt=in_seconds(-settings.WORKER_SILENT_SECONDS))


def expired_pauses() -> QuerySet[Pause]:
    """Pauses that ended a while ago. The engine's own may be made longer until shortly after."""
    return Pause.objects.filter(until__lt=in_seconds(-PAUSE_KEPT_SECONDS))


def database_now() -> datetime:
    """The time by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {CLOCK[connection.vendor]}", [])
        [told] = cursor.fetchone()
    return datetime.fromisoformat(told).replace(tzinfo=UTC) if isinstance(told, str) else told


def _of_rows(promise: Promise, found: list[QuerySet[Any]]) -> Finding:
    """A finding over `found`, one queryset per handler."""
    count = sum(rows.count() for rows in found)
    examples = chain.from_iterable(
        rows.order_by("pk").values_list("pk", flat=True)[:EXAMPLES] for rows in found
    )
    return promise.finding(count, examples if count else ())


def _doubled() -> Finding:
    rows: list[Any] = []
    for handler in handler_classes():
        opened = handler.attempt_model.objects.filter(ended_at=None).values("row")
        rows += opened.annotate(n=Count("pk")).filter(n__gt=1).values_list("row", flat=True)
    return DOUBLED.finding(len(rows), rows)


def _unserved() -> Finding:
    waiting = {lane: _waiting_long(lane) for lane in lane_names() if _is_unserved(lane)}
    lanes = [f"{count} in {lane}" for lane, count in waiting.items() if count]
    return UNSERVED.finding(sum(waiting.values()), lanes)


def _is_unserved(lane: str) -> bool:
    return not live_slots(lane) and bool(due_count(lane, 1))


def _waiting_long(lane: str) -> int:
    long_ago = in_seconds(-LANE_UNSERVED_SECONDS)
    return sum(
        handler.model.objects.claimable(lane).filter(available_at__lt=long_ago).count()
        for handler in handler_classes()
    )


def _dead() -> Finding:
    names = [f"{worker} ({worker.pk})" for worker in dead_workers().order_by("seen_at")]
    return DEAD.finding(len(names), names)


def _beat() -> Finding:
    age = _sweep_age()
    allowed = max(settings.WORKER_SILENT_SECONDS, 3 * settings.SWEEP_SECONDS)
    status = silence(age, allowed_seconds=allowed, is_needed=_is_work_there())
    told = "never" if age is None else f"{age:.0f} seconds ago"
    return BEAT.finding(int(status != OK), [told], status)


def _sweep_age() -> float | None:
    """Seconds since the last sweep began, by the database's clock; None when there was none."""
    began = PeriodicRun.objects.filter(pk=SWEEP).values_list("started_at", flat=True).first()
    return (database_now() - began).total_seconds() if began else None


def _is_work_there() -> bool:
    """Whether a row runs or waits for a worker."""
    return any(
        rows.exists()
        for handler in handler_classes()
        for rows in (
            handler.model.objects.running(),
            handler.model.objects.ready().filter(is_held=False),
        )
    )


def _recurring() -> list[Finding]:
    runs = list(PeriodicRun.objects.scheduled().order_by("pk"))
    errors = [f"{run.pk}: {run.error}" for run in runs if run.error]
    late = [f"{run.pk}, last at {run.started_at:%F %T}" for run in runs if _is_late(run)]
    return [FAILED.finding(len(errors), errors), LATE.finding(len(late), late)]


def _is_late(run: PeriodicRun) -> bool:
    """The sweep has a finding of its own."""
    if run.pk == SWEEP or run.started_at is None or run.is_running(run.now):
        return False
    age = (run.now - run.started_at).total_seconds()
    return is_overdue(age, run.recurring.every.total_seconds(), SLACK_SECONDS)


def _clock() -> Finding:
    """Of this machine against the database's, and of that against what it said before."""
    before = time.time()
    now = database_now()
    off = skew(before, now.timestamp(), time.time())
    status = skew_status(off, weak_from=SKEW_SECONDS, broken_from=SKEW_BROKEN_SECONDS)
    told = [f"the database is {off:+.1f} seconds off"] if status != OK else []
    told += _ahead(now)
    return CLOCK_SKEW.finding(len(told), told, BROKEN if status == BROKEN else WEAK)


def _ahead(now: datetime) -> list[str]:
    """Recurring work that began in the future: the database's clock was set back since."""
    runs = PeriodicRun.objects.filter(started_at__gt=now + timedelta(seconds=SLACK_SECONDS))
    return [f"{run.pk} began in the future" for run in runs.order_by("name")]


def _pauses() -> Finding:
    found = expired_pauses().order_by("until")
    return PAUSES.finding(len(found), [f"{pause}, until {pause.until:%F %T}" for pause in found])


def id_ranges(rows: QuerySet[Any], size: int) -> Iterator[Q]:
    """Conditions that cut `rows` into portions of `size` by their primary keys, in that order."""
    keys = rows.order_by("pk").values_list("pk", flat=True)
    below = Q()
    while portion := list(keys.filter(below)[size - 1 : size]):
        yield below & Q(pk__lte=portion[0])
        below = Q(pk__gt=portion[0])
    yield below
