"""A job is closed once, by whoever ends its last file, however many end at the same moment.

`make faults` does it with thousands of jobs.
"""

import os
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob, FileAttempt, FileResult
from apps.jobs.states import CLOSED, outcome
from apps.queue.models import in_seconds
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from apps.queue.states import State
from tests.batches import (
    SOMEBODY,
    Scripted,
    check_books,
    check_nothing_runs,
    failure_of,
    together,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]

JOBS = 3000 if os.environ.get("FAULTS") == "all" else 320
FILES = 5
THREADS = 20
ENDS = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.FAILED, State.SUCCEEDED)


def running_jobs(organization: Organization, count: int) -> list[list[BatchFile]]:
    """Jobs whose files all run, as submit and claim leave them, but made in bulk."""
    jobs = BatchJob.objects.bulk_create(
        BatchJob(organization=organization, operation="extract", total=FILES, state="running")
        for _ in range(count)
    )
    leased = {"state": State.RUNNING, "attempts": 1, "worker_id": SOMEBODY, "lane": "default"}
    files = [
        [
            BatchFile(
                **leased,
                organization=organization,
                job=job,
                position=position,
                name=f"{position}.txt",
                lease_token=uuid.uuid4(),
                lease_expires_at=Now(),
            )
            for position in range(1, FILES + 1)
        ]
        for job in jobs
    ]
    rows = BatchFile.objects.bulk_create(file for of_job in files for file in of_job)
    BatchFile.objects.update(lease_expires_at=in_seconds(600))
    FileAttempt.objects.bulk_create(
        FileAttempt(row=file, run=1, number=1, lease_token=file.lease_token, worker_id=SOMEBODY)
        for file in rows
    )
    return files


def end_of(job: int, file: int) -> State:
    return ENDS[(job + file * (job % 3)) % len(ENDS)]


def finish(file: BatchFile, end: State) -> None:
    if end is State.SUCCEEDED:
        assert succeed(Scripted, file, Scripted().read(str(file.pk)))
    elif end is State.FAILED:
        assert fail(Scripted, file, failure_of(FailureClass.PERMANENT))
    else:
        BatchFile.objects.filter(pk=file.pk).update(cancel_requested=True)
        assert fail(Scripted, file, failure_of(FailureClass.INTERRUPTED))


def test_each_of_hundreds_of_jobs_is_closed_once_with_the_right_counts(acme: Organization) -> None:
    jobs = running_jobs(acme, JOBS)

    def finisher(group: int, position: int) -> Callable[[], None]:
        """Ends one file of every job of the group, side by side with those who end the others."""

        def work() -> None:
            for number in range(group, JOBS, THREADS // FILES):
                finish(jobs[number][position], end_of(number, position))

        return work

    threads = [(group, position) for group in range(THREADS // FILES) for position in range(FILES)]
    together([finisher(*each) for each in threads])
    check_books()
    check_nothing_runs()
    for number, files in enumerate(jobs):
        job = files[0].job
        job.refresh_from_db()
        ends = Counter(end_of(number, position) for position in range(FILES))
        assert {state: count for state, count in job.counts.items() if count} == ends
        assert job.state == outcome(job.counts, FILES)
        assert job.state in CLOSED
        assert [end.state for end in job.completions.all()] == [job.state]
        # One revision for the beginning, one for each end, one for the close.
        assert job.revision == 1 + FILES + 1
    succeeded = BatchFile.objects.filter(state=State.SUCCEEDED).count()
    assert FileResult.objects.count() == succeeded
