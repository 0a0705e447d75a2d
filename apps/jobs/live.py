"""How far jobs are at this moment, for every face that shows it: a fixed number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.progress import eta_seconds, fraction
from apps.jobs.states import COUNTED, FILE_STATES, JobState
from apps.queue.states import State


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
    """What is known now of each of `jobs`, by its id; one query."""
    unfinished = BatchFile.objects.live_counts(jobs)
    found = {}
    for job in jobs:
        states = dict(unfinished[job.pk])
        begun = states.pop("progress_sum")
        found[job.pk] = live_from(job, {**states, **job.counts}, begun)
    return found


def live_from(job: BatchJob, states: Mapping[str, int], begun: float) -> Live:
    """The same of one job whose files are in `states` (state -> files); `begun` sums the progress
    (0..1 each) of those that have not ended."""
    counts = {"total": job.total, **{state: int(states[state]) for state in FILE_STATES}}
    finished = sum(counts[state] for state in COUNTED)
    progress = round(fraction(job.total, finished, begun), 4)
    return Live(counts, progress, _eta(job, counts, progress))


def _eta(job: BatchJob, counts: Mapping[str, int], progress: float) -> int | None:
    if job.state != JobState.RUNNING or job.started_at is None:
        return None
    if not (counts[State.QUEUED] or counts[State.RUNNING]):
        return None  # all that is left waits for its next try, at no pace
    elapsed = (timezone.now() - job.started_at).total_seconds()
    return eta_seconds(progress, elapsed)
