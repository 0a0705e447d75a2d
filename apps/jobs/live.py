"""How far jobs are at this moment, for every face that shows it: a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.progress import eta_seconds, fraction
from apps.jobs.states import OPEN


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
    return {job.pk: _live(job, dict(unfinished[job.pk])) for job in jobs}


def _live(job: BatchJob, states: dict[str, float]) -> Live:
    running_progress = states.pop("progress_sum")
    progress = round(fraction(job.total, job.finished_count, running_progress), 4)
    counts = {"total": job.total, **{name: int(n) for name, n in states.items()}, **job.counts}
    only_waits = states["queued"] == states["running"] == 0  # for its next try, at no pace
    return Live(counts, progress, None if only_waits else _eta(job, progress))


def _eta(job: BatchJob, progress: float) -> int | None:
    if job.state not in OPEN or job.started_at is None:
        return None
    elapsed = (timezone.now() - job.started_at).total_seconds()
    return eta_seconds(progress, elapsed)
