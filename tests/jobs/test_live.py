"""How far jobs are at this moment."""

from datetime import timedelta

from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.live import live_of
from apps.jobs.models import BatchJob
from apps.queue.retry import FailureClass
from tests.batches import submit
from tests.jobs.runs import fail_next, read_next


def eta(job: BatchJob) -> int | None:
    job.refresh_from_db()
    return live_of([job])[job.pk].eta_seconds


def test_time_to_go_is_told_while_files_run_or_are_next(acme: Organization) -> None:
    job = submit(acme, "one", "two", "three")
    assert eta(job) is None
    read_next()
    BatchJob.objects.update(started_at=timezone.now() - timedelta(seconds=10))
    assert eta(job) == 20


def test_no_time_to_go_is_told_while_all_that_is_left_waits_for_its_next_try(
    acme: Organization,
) -> None:
    job = submit(acme, "one", "two")
    read_next()
    BatchJob.objects.update(started_at=timezone.now() - timedelta(seconds=10))
    assert eta(job) == 10
    fail_next(FailureClass.TRANSIENT)
    assert eta(job) is None


def test_an_ended_job_has_no_time_to_go(acme: Organization) -> None:
    job = submit(acme, "one")
    read_next()
    assert eta(job) is None
