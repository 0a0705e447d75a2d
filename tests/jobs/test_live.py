"""How far jobs are at this moment: the same in the API's lists and on a job's page."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.live import live_of
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import pause_job, requeue_job, resume_job
from apps.queue.models import Lane, Priority
from apps.queue.pauses import pause, resume
from apps.queue.retry import FailureClass
from apps.web.job_page import JobPage
from tests.batches import claimed, owner_of, submit
from tests.jobs.containers import submit_files
from tests.jobs.runs import fail_next, read_next


def eta(job: BatchJob) -> int | None:
    """In seconds as lists tell it, rounded to ten; a page tells the same."""
    job.refresh_from_db()
    in_lists = live_of([job])[job.pk].eta_seconds
    on_page = JobPage(job, owner_of(job.organization)).live.eta_seconds
    if in_lists is None or on_page is None:
        assert in_lists == on_page
        return None
    assert on_page == pytest.approx(in_lists, abs=4)
    return round(in_lists / 10) * 10


def started_ago(job: BatchJob, seconds: float) -> None:
    BatchJob.objects.filter(pk=job.pk).update(
        started_at=timezone.now() - timedelta(seconds=seconds)
    )


def test_time_to_go_is_told_once_there_is_a_pace(acme: Organization) -> None:
    job = submit(acme, "one", "two", "three")
    assert eta(job) is None
    read_next()
    started_ago(job, 1000)
    assert eta(job) == 2000


def test_what_failed_took_time_too(acme: Organization) -> None:
    job = submit(acme, "one", "two", "three")
    read_next()
    fail_next()
    started_ago(job, 1000)
    assert eta(job) == 500


def test_what_runs_counts_by_how_far_it_is(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    read_next()
    claimed()
    BatchFile.objects.filter(state="running").update(progress=0.5)
    started_ago(job, 1500)
    assert eta(job) == 500


def test_a_wait_for_the_next_try_is_the_least_it_takes(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    read_next()
    started_ago(job, 1000)
    assert eta(job) == 1000
    file = fail_next(FailureClass.TRANSIENT)
    BatchFile.objects.filter(pk=file.pk).update(available_at=timezone.now() + timedelta(hours=1))
    assert eta(job) == 3600


def test_an_ended_job_has_no_time_to_go(acme: Organization) -> None:
    job = submit(acme, "one")
    read_next()
    assert eta(job) is None


def test_what_was_paused_is_in_no_pace(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    read_next()
    started_ago(job, 4600)
    pause_job(actor=owner_of(acme), job=job)
    assert eta(job) is None
    BatchJob.objects.update(paused_at=F("paused_at") - timedelta(hours=1))
    resume_job(actor=owner_of(acme), job=job)
    assert eta(job) == 1000
    pause_job(actor=owner_of(acme), job=job)
    BatchJob.objects.update(paused_at=F("paused_at") - timedelta(hours=1))
    started_ago(job, 8200)
    resume_job(actor=owner_of(acme), job=job)
    assert eta(job) == 1000


def test_a_pause_before_the_start_is_no_part_of_the_run(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    pause_job(actor=owner_of(acme), job=job)
    BatchJob.objects.update(paused_at=F("paused_at") - timedelta(hours=1))
    resume_job(actor=owner_of(acme), job=job)
    read_next()
    started_ago(job, 1000)
    assert eta(job) == 1000


def test_nothing_is_foretold_while_a_file_is_held(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    read_next()
    started_ago(job, 1000)
    [left] = BatchFile.objects.filter(state="queued")
    pause_job(actor=owner_of(acme), job=job, only=[left])
    assert eta(job) is None
    resume_job(actor=owner_of(acme), job=job, only=[left])
    assert eta(job) == 1000


@pytest.mark.parametrize("lane", ["", "default"])
@pytest.mark.parametrize("is_own", [True, False])
def test_nothing_is_foretold_while_the_queue_holds_what_waits(
    acme: Organization, other: Organization, lane: str, is_own: bool
) -> None:
    job = submit(acme, "one", "two")
    read_next()
    started_ago(job, 1000)
    pause(by=None, lane="ocr")
    pause(by=None, organization=other)
    assert eta(job) == 1000
    organization = acme if is_own else None
    pause(by=None, lane=lane, organization=organization)
    assert eta(job) is None
    resume(by=None, lane=lane, organization=organization)
    assert eta(job) == 1000


def test_what_had_a_result_at_once_or_was_refused_is_no_pace(acme: Organization) -> None:
    submit_files(acme, {f"{n}.txt": b"%d" % n for n in range(3)})
    for _ in range(3):
        read_next()
    job = submit_files(acme, {f"{n}.txt": b"%d" % n for n in range(5)})
    read_next()
    started_ago(job, 1000)
    assert job.files.filter(state="duplicate").count() == 3
    assert eta(job) == 1000
    job.files.filter(state="duplicate").update(state="rejected")
    BatchJob.objects.filter(pk=job.pk).update(rejected=3, succeeded=F("succeeded") - 3)
    BatchJob.objects.filter(pk=job.pk).update(duplicates=0)
    assert eta(job) == 1000


def test_what_waits_for_a_file_with_the_same_bytes_takes_no_time(acme: Organization) -> None:
    job = submit_files(acme, {f"{n}.txt": b"%d" % min(n, 1) for n in range(4)})
    read_next()
    started_ago(job, 1000)
    assert job.files.exclude(waits_for=None).count() == 2
    assert eta(job) == 1000


def test_an_earlier_run_is_no_pace(acme: Organization) -> None:
    job = submit(acme, "one", "two", "three")
    for _ in range(3):
        read_next()
    BatchFile.objects.update(finished_at=F("finished_at") - timedelta(hours=1))
    requeue_job(actor=owner_of(acme), job=job, only=list(job.files.order_by("pk")[:2]))
    read_next()
    started_ago(job, 1000)
    assert eta(job) == 1000


# --- the place in line ----------------------------------------------------------------------------


def place(job: BatchJob) -> int | None:
    return BatchFile.objects.waiting_before([job]).get(job.pk)


def test_what_is_held_back_is_in_nobodys_way(acme: Organization, other: Organization) -> None:
    first, second = submit(acme, "one", "two"), submit(acme, "three")
    assert (place(first), place(second)) == (0, 2)
    pause_job(actor=owner_of(acme), job=first)
    assert (place(first), place(second)) == (None, 0)
    resume_job(actor=owner_of(acme), job=first)  # its first file stands beside the next in line
    assert (place(first), place(second)) == (0, 0)
    one = first.files.order_by("position").first()
    pause_job(actor=owner_of(acme), job=first, only=[one])
    assert (place(first), place(second)) == (1, 0)
    theirs = submit(other, "four", priority=Priority.LOW)
    assert place(theirs) == 2
    pause(by=None, organization=acme)
    assert (place(first), place(second)) == (None, None)
    assert place(theirs) == 0


@pytest.mark.parametrize("lane", ["", "default"])
def test_there_is_no_line_while_all_of_it_is_paused(acme: Organization, lane: str) -> None:
    job = submit(acme, "one")
    pause(by=None, lane=lane)
    assert place(job) is None
    resume(by=None, lane=lane)
    assert place(job) == 0


def test_a_lane_that_is_full_still_has_its_line(acme: Organization) -> None:
    job = submit(acme, "one")
    Lane.objects.create(name="default", max_running=0)
    assert place(job) == 0


def test_what_waits_for_its_next_try_is_not_in_line_yet(acme: Organization) -> None:
    job, other_job = submit(acme, "one"), submit(acme, "two")
    fail_next(FailureClass.TRANSIENT)
    assert (place(job), place(other_job)) == (None, 0)
    BatchFile.objects.update(available_at=timezone.now() - timedelta(seconds=1))
    assert place(job) == 0
