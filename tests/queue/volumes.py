"""Rows for the board in numbers that nobody would submit one by one: as the engine leaves them."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.queue.models import WorkerNode
from apps.queue.states import READY, State


def worker(*lanes: str, host: str = "mill", seen: float = 0.0) -> WorkerNode:
    """A worker that was heard of `seen` seconds ago."""
    return WorkerNode.objects.create(
        id=uuid.uuid4(),
        host=host,
        pid=4711,
        lanes=list(lanes),
        slots=3,
        version="0.1.0",
        seen_at=timezone.now() - timedelta(seconds=seen),
    )


def files(
    organization: Organization,
    count: int,
    state: State = State.QUEUED,
    *,
    lane: str = "default",
    workers: Sequence[WorkerNode] = (),
    is_held: bool = False,
) -> list[BatchFile]:
    """Files of one job in `state`; running ones are shared among `workers`."""
    job = BatchJob.objects.create(organization=organization, operation="extract", total=count)
    is_running = state == State.RUNNING
    made = BatchFile.objects.bulk_create(
        BatchFile(
            organization=organization,
            job=job,
            position=number + 1,
            name=f"{number + 1}.txt",
            lane=lane,
            state=state,
            is_held=is_held,
            finished_at=None if is_running or state in READY else timezone.now(),
            stage="reading" if is_running else "",
            progress=0.25 if is_running else 0.0,
            lease_token=uuid.uuid4() if is_running else None,
            lease_expires_at=timezone.now() + timedelta(seconds=30) if is_running else None,
            worker_id=workers[number % len(workers)].pk if is_running and workers else None,
        )
        for number in range(count)
    )
    if is_running:
        FileAttempt.objects.bulk_create(
            FileAttempt(
                row=file,
                run=1,
                number=1,
                lease_token=file.lease_token,
                worker_id=file.worker_id or uuid.UUID(int=1),
                lane=lane,
            )
            for file in made
        )
    return made


def attempts(
    file: BatchFile, *ended: datetime, outcome: str = "succeeded", seconds: float = 2.0
) -> list[FileAttempt]:
    """An attempt at `file` for each of those ends, after a run of `seconds`."""
    return FileAttempt.objects.bulk_create(
        FileAttempt(
            row=file,
            run=1,
            number=number,
            lease_token=uuid.uuid4(),
            worker_id=uuid.UUID(int=1),
            lane=file.lane,
            started_at=end - timedelta(seconds=seconds),
            ended_at=end,
            outcome=outcome,
        )
        for number, end in enumerate(ended, start=1)
    )
