"""Cancel and pause with a real worker: how soon, and that nothing starts that must not."""

import time

import pytest

from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job, pause_job, resume_job
from tests.batches import check_books, check_nothing_runs, owner_of
from tests.faults.stage import WORK, Stage
from tests.processes import eventually
from tests.queue.test_processes import node_of

pytestmark = pytest.mark.django_db(transaction=True)

SLOTS = 5


def started(stage: Stage) -> None:
    stage.settings["DEFAULT_CONCURRENCY"] = str(SLOTS)
    worker = stage.start(*WORK, "--slots", str(SLOTS))
    worker.wait_for(lambda: node_of(worker))


def ended(job: BatchJob, state: str) -> int:
    return int(BatchFile.objects.filter(job=job, state=state).count())


@pytest.mark.alone  # ten seconds are promised of a machine that has nothing else to do
def test_five_that_run_and_forty_five_that_wait_are_cancelled_within_ten_seconds(
    stage: Stage,
) -> None:
    started(stage)
    job = stage.submit(*["60"] * 50)
    eventually(lambda: BatchFile.objects.running().count() == SLOTS)
    asked = time.monotonic()
    cancel_job(actor=owner_of(stage.organization), job=job)
    assert ended(job, "cancelled") == 50 - SLOTS
    stage.wait_until_closed(job, seconds=10)
    assert time.monotonic() - asked < 10
    assert ended(job, "cancelled") == 50
    stage.end()
    check_books()
    check_nothing_runs()


def test_a_pause_starts_nothing_and_a_resume_ends_all(stage: Stage) -> None:
    started(stage)
    job = stage.submit(*["0.1"] * 50)
    eventually(lambda: ended(job, "succeeded") >= 20)
    pause_job(actor=owner_of(stage.organization), job=job, reason="to look at it")
    eventually(lambda: not BatchFile.objects.running().exists())
    done = ended(job, "succeeded")
    assert 20 <= done < 50
    time.sleep(1.5)
    assert ended(job, "succeeded") == done
    assert not BatchFile.objects.running().exists()
    resume_job(actor=owner_of(stage.organization), job=job)
    stage.wait_until_closed(job)
    assert ended(job, "succeeded") == 50
    stage.end()
    check_books()
    check_nothing_runs()
