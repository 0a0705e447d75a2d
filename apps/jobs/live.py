"""How far jobs are at this moment, for every face that shows it: a fixed number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from apps.jobs.models import BatchJob
from apps.jobs.progress import eta_seconds, fraction
from apps.jobs.states import COUNTED, DUPLICATE, FILE_STATES, OPEN, JobState
from apps.queue.states import UNFINISHED, State


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


def live_of(jobs: Sequence[BatchJob]) -> dict[UUID, Live]:
    """What is known now of each of `jobs`, by its id; one query, so that all fits together."""
    now = BatchJob.objects.live([job.pk for job in jobs if job.state in OPEN])
    found = {}
    for job in jobs:
        nothing = {
            "total": job.total,
            **dict.fromkeys(map(str, UNFINISHED), 0),
            **job.counts,
            DUPLICATE: job.duplicates,
        }
        states = now.get(job.pk, nothing)
        begun, floor = states.pop("begun", 0.0), states.pop("floor", 0.0)
        found[job.pk] = live_from(job, states, begun, floor)
    return found


def live_from(job: BatchJob, states: Mapping[str, int], begun: float, floor: float) -> Live:
    """The same of one job whose files are in `states` ("total" or state -> files); `begun` sums
    the progress (0..1 each) of those that have not ended, containers left out; less than `floor`
    is not shown."""
    counts = {name: int(states[name]) for name in ("total", *FILE_STATES)}
    exact = fraction(counts["total"], sum(counts[state] for state in COUNTED), begun)
    return Live(counts, round(max(floor, exact), 4), _eta(job, counts, exact))


def _eta(job: BatchJob, counts: Mapping[str, int], progress: float) -> int | None:
    if job.state != JobState.RUNNING or job.started_at is None:
        return None
    if not (counts[State.QUEUED] or counts[State.RUNNING]):
        return None  # all that is left waits for its next try, at no pace
    elapsed = (timezone.now() - job.started_at).total_seconds()
    return eta_seconds(progress, elapsed)
