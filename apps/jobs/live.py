"""How far jobs are at this moment, for every face that shows it: a fixed number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from apps.jobs.models import BatchJob
from apps.jobs.pausing import pauses_that_hold
from apps.jobs.progress import Work, eta_seconds, fraction
from apps.jobs.states import COUNTED, DUPLICATE, FILE_STATES, OPEN, JobState
from apps.queue.states import UNFINISHED


@dataclass(frozen=True)
class Live:
    """One job's files by state, how much is done (0..1), and seconds to go where that is known."""

    counts: dict[str, int]
    progress: float
    eta_seconds: int | None

    @property
    def percent(self) -> int:
        """Whole and never rounded up: 100 means done."""
        return int(self.progress * 100)


@dataclass(frozen=True)
class Seen:
    """What was read of a job's files in one go, so that all that is told of them fits together.

    `states` is "total" or a state -> files; `begun`, `floor`, `read`, `followers` and `next_try`
    are as `BatchJobQuerySet.live` has them. `is_held`: of those that wait some are paused, or all.
    """

    states: Mapping[str, int]
    begun: float = 0.0
    floor: float = 0.0
    read: int = 0
    followers: int = 0
    next_try: datetime | None = None
    is_held: bool = False


def live_of(jobs: Sequence[BatchJob]) -> dict[UUID, Live]:
    """What is known now of each of `jobs`, by its id; two queries while nothing is paused, and none
    where all have ended."""
    still_open = [job.pk for job in jobs if job.state in OPEN]
    rows = _live().filter(pk__in=still_open) if still_open else ()
    now = {row.pop("pk"): row for row in rows}
    held = pauses_that_hold(jobs)
    found = {}
    for job in jobs:
        row = now.get(job.pk)
        if row is None:
            found[job.pk] = live_from(job, Seen(_at_rest(job)))
            continue
        is_held = bool(row.pop("held")) or job.pk in held
        more = {name: row.pop(name) for name in ("begun", "floor", "read", "followers", "next_try")}
        found[job.pk] = live_from(job, Seen(row, is_held=is_held, **more))
    return found


@cache
def _live() -> QuerySet[BatchJob, dict[str, Any]]:
    """Of all jobs; put together once, which takes as long as to ask twice."""
    return BatchJob.objects.live()


def live_from(job: BatchJob, seen: Seen) -> Live:
    """The same of one job whose files were `seen`."""
    counts = {name: int(seen.states[name]) for name in ("total", *FILE_STATES)}
    exact = fraction(counts["total"], sum(counts[state] for state in COUNTED), seen.begun)
    return Live(counts, round(max(seen.floor, exact), 4), _eta(job, seen))


def _at_rest(job: BatchJob) -> dict[str, int]:
    nothing = dict.fromkeys(map(str, UNFINISHED), 0)
    return {"total": job.total, **nothing, **job.counts, DUPLICATE: job.duplicates}


def _eta(job: BatchJob, seen: Seen) -> int | None:
    if job.state != JobState.RUNNING or job.started_at is None:
        return None
    now = timezone.now()
    unfinished = sum(seen.states[state] for state in UNFINISHED)
    wait = (seen.next_try - now).total_seconds() if seen.next_try else 0.0
    return eta_seconds(
        Work(
            read=seen.read + seen.begun,
            left=unfinished - seen.followers - seen.begun,
            seconds=(now - job.started_at).total_seconds() - job.paused_seconds,
            wait_seconds=wait,
            is_held=seen.is_held,
        )
    )
