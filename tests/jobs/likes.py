"""Files with the same bytes, and what becomes of the first."""

from collections.abc import Callable

from django.db import connection, transaction

from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job
from apps.queue.claim import claim
from apps.queue.retry import FailureClass
from tests.batches import SOMEBODY, owner_of
from tests.jobs.runs import fail_next

SAME = {"a.txt": b"the same bytes"}


def the_file(job: BatchJob) -> BatchFile:
    found: BatchFile = BatchFile.objects.select_related("result__content").get(job=job)
    return found


def state_of(job: BatchJob) -> tuple[str, str]:
    """Of the job and of its only file."""
    job.refresh_from_db()
    return job.state, the_file(job).state


def is_nothing_to_claim() -> bool:
    return claim("default", SOMEBODY) is None


def killed_after_commit(end: Callable[[], object]) -> None:
    """Does `end` as a process that dies as soon as its transaction is committed."""
    with transaction.atomic():
        end()
        connection.run_on_commit.clear()


def end_badly(job: BatchJob, end: str) -> None:
    """Ends the only file of `job`, which is the first in line."""
    if end == "cancelled":
        cancel_job(actor=owner_of(job.organization), job=job)
    elif end == "failed":
        fail_next(partial="half of it")
    else:
        fail_next(FailureClass.CRASH)
        fail_next(FailureClass.CRASH)
