"""Whether jobs, files and results agree with each other: looks at the rows, changes nothing.

What everything has to be read for is read in portions by primary key, each one statement, so that
a job is seen before or after a step of it, never in between, and memory stays flat. A million files
take about ten seconds of processor time on SQLite.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.audit.models import AuditEntry
from apps.jobs.models import (
    BatchFile,
    BatchJob,
    Completion,
    FileAttempt,
    FileResult,
    IdempotencyKey,
)
from apps.jobs.states import (
    CLOSED,
    COUNTED,
    DUPLICATE,
    FILE_STATES,
    OPEN,
    REJECTED,
    JobState,
    outcome,
)
from apps.queue.findings import BROKEN, EXAMPLES, WEAK, Finding, Promise
from apps.queue.inspection import SLACK_SECONDS, id_ranges
from apps.queue.models import in_seconds
from apps.queue.states import READY, UNFINISHED, State

JOBS_AT_ONCE = 500
FILES_AT_ONCE = 5000
HELD_LOOKED_AT = 200
"""Jobs with held files of which the audit log is asked who paused them."""
MANY_KEYS = 100
"""From here on old idempotency keys are no leftovers: nobody cleans up."""
KEY_TOO_OLD = timedelta(days=2)
JOB_TOO_OLD = timedelta(days=2)
COMPLETIONS_SINCE = ("jobs", "0006_control")
"""The migration that made their table: jobs that closed before it have none."""

COUNTERS = Promise(
    "counters",
    BROKEN,
    "the counters or ends of these jobs are not what their files say: doctor --fix counts again.",
)
UNCLOSED = Promise(
    "unclosed jobs",
    BROKEN,
    "all files of these jobs have ended: doctor --fix closes them, as every sweep should.",
)
CLOSED_EARLY = Promise(
    "closed too soon",
    BROKEN,
    "files of these closed jobs wait or run: doctor --fix opens the jobs again.",
)
COMPLETIONS = Promise(
    "completions",
    BROKEN,
    "the end of these jobs' run was not written down: doctor --fix does it from their counters.",
)
NO_RESULT = Promise(
    "missing results",
    BROKEN,
    "these files succeeded and have no result of their run: requeue their jobs.",
)
STRAY_RESULT = Promise(
    "stray results",
    BROKEN,
    "results stand at files that no run has ended: requeue or delete their jobs.",
)
FOLLOWERS = Promise(
    "stuck followers",
    BROKEN,
    "these files wait for others that have ended: doctor --fix lets them go on.",
)
HELD = Promise(
    "held files",
    WEAK,
    "nobody is known to have paused them, and their jobs are not paused: resume them.",
)
OLD_KEYS = Promise(
    "old keys",
    WEAK,
    "they are kept for a day: see why beat does not clean up, or run manage.py cleanup.",
)
OLD_JOBS = Promise(
    "expired jobs",
    WEAK,
    "their time was over two days ago: see why beat does not, or run manage.py cleanup.",
)


def inspect() -> list[Finding]:
    """A finding for each promise of jobs, those that hold too. Changes nothing."""
    return [
        *_of_jobs(),
        _counted(NO_RESULT, without_result()),
        _counted(STRAY_RESULT, with_stray_result()),
        _listed(FOLLOWERS, stuck_followers()),
        _old_keys(),
        _listed(OLD_JOBS, old_jobs()),
    ]


def faults(row: dict[str, Any]) -> set[Promise]:
    """What is wrong with a job of `with_tallies`, a pure rule."""
    counted = {name: row[f"is_{name}"] for name in COUNTED}
    counted["succeeded"] += row[f"is_{DUPLICATE}"]
    unfinished = sum(row[f"is_{state}"] for state in UNFINISHED)
    is_counted = (
        all(row[name] == counted[name] for name in COUNTED)
        and row["duplicates"] == row[f"is_{DUPLICATE}"]
        and row["total"] == sum(counted.values()) + unfinished
    )
    is_open = row["state"] in OPEN
    if not is_open and not unfinished:
        is_counted &= row["state"] == outcome(counted, sum(counted.values()))
    found = set() if is_counted else {COUNTERS}
    if is_open and not unfinished:
        found.add(UNCLOSED)
    if not is_open and unfinished:
        found.add(CLOSED_EARLY)
    if not is_open and not row["is_complete"]:
        found.add(COMPLETIONS)
    if row["loose"] and is_open and row["state"] != JobState.PAUSED:
        found.add(HELD)  # perhaps
    return found


def faulty_jobs() -> Iterator[tuple[UUID, set[Promise]]]:
    """Jobs that do not agree with their files, or whose end was not written down."""
    since = completions_since()
    for portion in id_ranges(BatchJob.objects.all(), JOBS_AT_ONCE):
        for row in _with_tallies(BatchJob.objects.filter(portion)):
            closed_before = row["finished_at"] is not None and row["finished_at"] < since
            if found := faults(row | {"is_complete": row["is_complete"] or closed_before}):
                yield row["pk"], found


def _with_tallies(jobs: QuerySet[BatchJob]) -> Any:
    """Their counters beside what their files say: `is_<state>`, how many are in it; `loose`, how
    many are held and wait for no other; `is_complete`, whether the end of the run is known."""
    tallies = {f"is_{name}": Count("files", filter=Q(files__state=name)) for name in FILE_STATES}
    loose = Q(files__state__in=READY, files__is_held=True, files__waits_for=None)
    ended = Completion.objects.filter(job=OuterRef("pk"), run=OuterRef("run"))
    return (
        jobs.order_by()
        .values("pk", "run", "state", "finished_at", "total", "duplicates", *COUNTED)
        .annotate(**tallies, loose=Count("files", filter=loose), is_complete=Exists(ended))
    )


def completions_since() -> datetime:
    """When this database got the table of completions."""
    migration = MigrationRecorder(connection).applied_migrations().get(COMPLETIONS_SINCE)
    # Squashed by now: then the table is as old as the database.
    return migration.applied if migration is not None else datetime.min.replace(tzinfo=UTC)


def without_result() -> Iterator[UUID]:
    """Files that succeeded, or are duplicates of such, with no result of their run."""
    made = FileResult.objects.filter(file=OuterRef("pk"), run=OuterRef("run"))
    ended = BatchFile.objects.filter(state__in=(State.SUCCEEDED, DUPLICATE)).exclude(Exists(made))
    yield from _by_portions(ended)


def with_stray_result() -> Iterator[UUID]:
    """Files that have not ended, and have a result that no ended attempt of their run made.

    An older run's stays until the file is read anew, and a failed attempt keeps what it read.
    """
    made = FileResult.objects.filter(file=OuterRef("pk"), run__gte=OuterRef("run"))
    attempts = FileAttempt.objects.filter(row=OuterRef("pk"), run=OuterRef("run"))
    has_ended = Exists(attempts.exclude(ended_at=None))
    unended = BatchFile.objects.filter(state__in=[*UNFINISHED, REJECTED])
    yield from _by_portions(unended.filter(Exists(made)).exclude(has_ended))


def _by_portions(files: QuerySet[BatchFile]) -> Iterator[UUID]:
    for portion in id_ranges(BatchFile.objects.all(), FILES_AT_ONCE):
        yield from files.filter(portion).values_list("pk", flat=True)


def stuck_followers() -> QuerySet[BatchFile]:
    """Files that wait for one that ended before the sweeps of lately, which should have seen to
    them. For one that is held they may wait: it is paused."""
    grace = 2 * settings.SWEEP_SECONDS + SLACK_SECONDS
    followers: QuerySet[BatchFile] = BatchFile.objects.ready().exclude(waits_for=None)
    return followers.filter(
        waits_for__state__in=set(FILE_STATES) - UNFINISHED,
        waits_for__finished_at__lt=in_seconds(-grace),
    )


def old_jobs() -> QuerySet[BatchJob]:
    """Jobs that cleanup should have removed."""
    jobs: QuerySet[BatchJob] = BatchJob.objects.filter(state__in=CLOSED, is_kept=False)
    return jobs.filter(expires_at__lt=Now() - JOB_TOO_OLD)


def _of_jobs() -> list[Finding]:
    counts = dict.fromkeys((COUNTERS, UNCLOSED, CLOSED_EARLY, COMPLETIONS), 0)
    examples: dict[Promise, list[UUID]] = {promise: [] for promise in counts}
    with_held: list[UUID] = []
    for pk, found in faulty_jobs():
        for promise in found & counts.keys():
            counts[promise] += 1
            if len(examples[promise]) < EXAMPLES:
                examples[promise].append(pk)
        if HELD in found and len(with_held) < HELD_LOOKED_AT:
            with_held.append(pk)
    held = _held_by_nobody(with_held)
    return [
        *(promise.finding(count, examples[promise]) for promise, count in counts.items()),
        HELD.finding(len(held), held),
    ]


def _held_by_nobody(jobs: list[UUID]) -> list[UUID]:
    """Held files of `jobs` that wait for no other, and of which the audit log does not say that
    they were paused."""
    held = BatchFile.objects.filter(job__in=jobs, state__in=READY, is_held=True, waits_for=None)
    pauses = AuditEntry.objects.filter(action="job.pause", target_id__in=map(str, jobs))
    paused: set[str] = set()
    for detail in pauses.values_list("detail", flat=True):
        paused.update(json.loads(detail).get("files", ()))
    return [pk for pk in held.order_by("pk").values_list("pk", flat=True) if str(pk) not in paused]


def _counted(promise: Promise, ids: Iterator[UUID]) -> Finding:
    examples = list(islice(ids, EXAMPLES))
    return promise.finding(len(examples) + sum(1 for _ in ids), examples)


def _listed(promise: Promise, rows: QuerySet[Any]) -> Finding:
    count = rows.count()
    return promise.finding(count, rows.order_by("pk").values_list("pk", flat=True)[:EXAMPLES])


def _old_keys() -> Finding:
    old = IdempotencyKey.objects.filter(created_at__lt=Now() - KEY_TOO_OLD)
    count = old.count()
    return OLD_KEYS.finding(count if count >= MANY_KEYS else 0)
