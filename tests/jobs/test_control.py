"""What people do to jobs and to some of their files, and what becomes of these."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.jobs.errors import JobFinished, JobUnfinished, NothingToDiscard, NothingToRetry
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, Completion
from apps.jobs.services import (
    cancel_job,
    discard_job,
    keep_job,
    pause_job,
    prioritize_job,
    requeue_job,
    resume_job,
    retry_job,
)
from apps.queue.claim import claim
from apps.queue.models import Priority
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import (
    SOMEBODY,
    Scripted,
    check_books,
    check_nothing_runs,
    claimed,
    failure_of,
    owner_of,
    submit,
)
from tests.jobs.containers import opened, submit_files, zip_of
from tests.jobs.runs import fail_next, read_next
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("roomy")]


@pytest.fixture
def owner(acme: Organization) -> Actor:
    return owner_of(acme)


@pytest.fixture
def three(acme: Organization) -> BatchJob:
    return submit(acme, "one", "two", "three")


def files(job: BatchJob) -> list[BatchFile]:
    return list(BatchFile.objects.filter(job=job).order_by("position"))


def states(job: BatchJob) -> list[str]:
    """Of the job, then of its files; "held" for one that waits and may not be claimed."""
    job.refresh_from_db()
    held = ["held" if file.is_held else file.state for file in files(job)]
    return [job.state, *held]


def is_nothing_to_claim() -> bool:
    return claim("default", SOMEBODY) is None


# --- some files of a job --------------------------------------------------------------------------


def test_some_files_are_cancelled_and_the_rest_goes_on(owner: Actor, three: BatchJob) -> None:
    running = claimed()
    cancel_job(actor=owner, job=three, only=files(three)[:2])
    assert states(three) == ["running", "running", "cancelled", "queued"]
    check_books()
    assert succeed(BatchFileHandler, running, Scripted().read())
    assert states(three) == ["running", "cancelled", "cancelled", "queued"]
    read_next()
    assert states(three) == ["cancelled", "cancelled", "cancelled", "succeeded"]
    check_books()


def test_the_last_files_that_wait_are_cancelled_one_by_one(owner: Actor, three: BatchJob) -> None:
    for file in files(three):
        assert three.state == "queued"
        three = cancel_job(actor=owner, job=three, only=[file])
    assert three.state == "cancelled"
    assert Completion.objects.get().state == "cancelled"
    check_books()


def test_some_files_are_paused_and_go_on(owner: Actor, three: BatchJob) -> None:
    first, second, third = files(three)
    pause_job(actor=owner, job=three, only=[first, second])
    assert states(three) == ["queued", "held", "held", "queued"]
    assert (three.paused_by, three.paused_at) == (None, None)
    assert claimed().pk == third.pk
    assert is_nothing_to_claim()
    resume_job(actor=owner, job=three, only=[second])
    assert claimed().pk == second.pk
    assert is_nothing_to_claim()
    check_books()


def test_some_files_get_another_priority(owner: Actor, three: BatchJob) -> None:
    third = files(three)[2]
    prioritize_job(actor=owner, job=three, priority=Priority.HIGH, only=[third])
    three.refresh_from_db()
    assert three.priority == Priority.NORMAL
    assert claimed().pk == third.pk


def test_some_files_are_requeued(owner: Actor, three: BatchJob) -> None:
    for _ in range(3):
        read_next()
    requeue_job(actor=owner, job=three, only=files(three)[1:])
    assert states(three) == ["queued", "succeeded", "queued", "queued"]
    assert [file.run for file in files(three)] == [1, 2, 2]
    check_books()


def test_files_of_another_job_are_not_touched(owner: Actor, three: BatchJob) -> None:
    elsewhere = submit(owner.organization, "else")
    for verb in (cancel_job, pause_job, resume_job):
        with pytest.raises(JobFinished):
            verb(actor=owner, job=three, only=files(elsewhere))
    assert states(elsewhere) == ["queued", "queued"]
    assert states(three) == ["queued"] * 4


# --- pause and resume -----------------------------------------------------------------------------


def test_a_paused_job_starts_nothing_and_what_runs_ends(
    owner: Actor, three: BatchJob, alice: User
) -> None:
    running = claimed()
    before = BatchJob.objects.get().revision
    pause_job(actor=owner, job=three, reason="The wrong quarter.")
    assert states(three) == ["paused", "running", "held", "held"]
    assert (three.paused_by, three.pause_reason) == (alice, "The wrong quarter.")
    assert three.paused_at is not None
    assert three.revision > before
    assert is_nothing_to_claim()
    assert succeed(BatchFileHandler, running, Scripted().read())
    assert states(three) == ["paused", "succeeded", "held", "held"]
    check_books()


def test_others_go_on(owner: Actor, three: BatchJob) -> None:
    beside = submit(owner.organization, "beside")
    pause_job(actor=owner, job=three)
    assert read_next().job_id == beside.pk


def test_resume_goes_on_where_it_stopped(owner: Actor, three: BatchJob) -> None:
    read_next()
    pause_job(actor=owner, job=three)
    now = timezone.now()
    BatchJob.objects.update(
        started_at=now - timedelta(seconds=100), paused_at=now - timedelta(seconds=90)
    )
    resume_job(actor=owner, job=three)
    assert states(three) == ["running", "succeeded", "queued", "queued"]
    assert (three.paused_at, three.paused_by, three.pause_reason) == (None, None, "")
    assert 90 <= three.paused_seconds < 120
    read_next()
    read_next()
    assert states(three) == ["succeeded"] * 4
    check_books()
    check_nothing_runs()


def test_a_job_that_had_not_begun_waits_again_when_it_is_resumed(
    owner: Actor, three: BatchJob
) -> None:
    pause_job(actor=owner, job=three)
    resume_job(actor=owner, job=three)
    assert states(three) == ["queued"] * 4


@pytest.mark.django_db(transaction=True)
def test_resume_rings(
    owner: Actor, three: BatchJob, valkey: Valkey, bell: Callable[[str], int]
) -> None:
    pause_job(actor=owner, job=three)
    valkey.flushall()
    resume_job(actor=owner, job=three)
    assert bell("default") == 3


@pytest.mark.parametrize("failure_class", [FailureClass.TRANSIENT, FailureClass.LOST])
def test_what_comes_back_while_the_job_is_paused_is_held_too(
    owner: Actor, three: BatchJob, failure_class: FailureClass
) -> None:
    running = claimed()
    pause_job(actor=owner, job=three)
    assert fail(BatchFileHandler, running, failure_of(failure_class))
    assert states(three) == ["paused", "held", "held", "held"]
    BatchFile.objects.update(available_at=timezone.now() - timedelta(seconds=1))
    assert is_nothing_to_claim()
    resume_job(actor=owner, job=three)
    assert claimed().pk == running.pk


def test_what_is_found_while_the_job_is_paused_is_held_too(owner: Actor) -> None:
    job = submit_files(owner.organization, {"all.zip": zip_of("one")})
    file = claimed()
    pause_job(actor=owner, job=job)
    found = {"1.txt": b"one", "2.txt": b"two", "3.txt": b"one"}
    assert succeed(BatchFileHandler, file, opened(Scripted(), file, found))
    assert states(job) == ["paused", "succeeded", "held", "held", "held"]
    assert is_nothing_to_claim()
    check_books()
    resume_job(actor=owner, job=job)
    assert {claimed().name, claimed().name} == {"1.txt", "2.txt"}
    assert is_nothing_to_claim(), "the third is like the first"


def test_a_job_whose_last_files_end_while_it_is_paused_is_closed(
    owner: Actor, three: BatchJob
) -> None:
    running = [claimed() for _ in range(3)]
    pause_job(actor=owner, job=three)
    for file in running:
        assert states(three)[0] == "paused"
        assert succeed(BatchFileHandler, file, Scripted().read())
    assert states(three) == ["succeeded"] * 4
    assert Completion.objects.get().state == "succeeded"
    check_books()


def test_a_new_run_is_not_paused(owner: Actor, three: BatchJob) -> None:
    running = [claimed() for _ in range(3)]
    pause_job(actor=owner, job=three, reason="No more today.")
    for file in running:
        assert fail(BatchFileHandler, file, failure_of(FailureClass.PERMANENT))
    retry_job(actor=owner, job=three)
    assert states(three) == ["queued"] * 4
    assert (three.paused_at, three.paused_by, three.pause_reason) == (None, None, "")
    assert three.paused_seconds == 0


def test_a_paused_job_is_cancelled(owner: Actor, three: BatchJob) -> None:
    running = claimed()
    pause_job(actor=owner, job=three)
    cancel_job(actor=owner, job=three)
    assert states(three) == ["cancelling", "running", "cancelled", "cancelled"]
    assert fail(BatchFileHandler, running, failure_of(FailureClass.INTERRUPTED))
    assert states(three) == ["cancelled"] * 4
    check_books()
    check_nothing_runs()


@pytest.mark.django_db(transaction=True)
def test_what_may_be_spent_no_more_pauses_the_job(owner: Actor, three: BatchJob) -> None:
    beside = claimed()
    spent = fail_next(FailureClass.BUDGET)
    assert states(three) == ["paused", "running", "held", "held"]
    assert (three.paused_by, three.pause_reason) == (None, "It failed.")
    assert three.paused_at is not None
    spent.refresh_from_db()
    assert (spent.failures, spent.crashes, spent.losses) == (0, 0, 0)
    assert (spent.error_class, spent.error_detail) == ("budget", "It failed.")
    assert is_nothing_to_claim()
    assert succeed(BatchFileHandler, beside, Scripted().read())
    for _ in range(6):
        resume_job(actor=owner, job=three)
        assert fail_next(FailureClass.BUDGET).state == "queued", "it is never counted"
        assert states(three) == ["paused", "succeeded", "held", "held"]
    resume_job(actor=owner, job=three)
    read_next()
    read_next()
    assert states(three) == ["succeeded"] * 4
    check_books()


# --- priority, keep, discard, requeue -------------------------------------------------------------


def test_priority_counts_from_the_next_free_slot_on(owner: Actor, three: BatchJob) -> None:
    later = submit(owner.organization, "later")
    prioritize_job(actor=owner, job=later, priority=Priority.HIGH)
    assert (later.priority, files(later)[0].priority) == (Priority.HIGH, Priority.HIGH)
    assert claimed().job_id == later.pk
    prioritize_job(actor=owner, job=three, priority=Priority.LOW)
    last = submit(owner.organization, "last")
    assert claimed().job_id == last.pk


def test_what_is_kept_is_let_go_of_again(owner: Actor, three: BatchJob) -> None:
    assert keep_job(actor=owner, job=three, kept=True).is_kept
    assert BatchJob.objects.get().is_kept
    assert not keep_job(actor=owner, job=three, kept=False).is_kept


def test_only_what_failed_is_discarded(owner: Actor, three: BatchJob) -> None:
    with pytest.raises(JobUnfinished):
        discard_job(actor=owner, job=three)
    read_next()
    fail_next()
    read_next()
    when = discard_job(actor=owner, job=three).discarded_at
    assert when is not None
    assert discard_job(actor=owner, job=three).discarded_at == when
    assert states(three) == ["partial", "succeeded", "failed", "succeeded"]
    assert retry_job(actor=owner, job=three).discarded_at is None
    read_next()
    with pytest.raises(NothingToDiscard):
        discard_job(actor=owner, job=three)


def test_a_requeue_reads_everything_anew(owner: Actor, three: BatchJob) -> None:
    read_next("as it was")
    fail_next()
    read_next()
    requeue_job(actor=owner, job=three)
    assert states(three) == ["queued"] * 4
    assert (three.run, three.succeeded, three.failed, three.finished_at) == (2, 0, 0, None)
    check_books()
    first = BatchFile.objects.select_related("result").get(position=1)
    assert first.result.words == 3, "it stays until the file is read anew"
    for _ in range(3):
        read_next("now it is another")
    assert states(three) == ["succeeded"] * 4
    assert {file.result.words for file in files(three)} == {4}
    assert [each.run for each in Completion.objects.order_by("pk")] == [1, 2]
    check_books()
    check_nothing_runs()


@pytest.mark.parametrize("failure_class", [FailureClass.PERMANENT, FailureClass.RESOURCE])
def test_what_a_requeue_saves_of_a_failure_takes_no_whole_results_place(
    owner: Actor, failure_class: FailureClass
) -> None:
    job = submit(owner.organization, "one")
    read_next("all that it says")
    requeue_job(actor=owner, job=job)
    fail_next(failure_class, partial="all")
    [file] = files(job)
    assert (file.run, file.result.run, file.result.words) == (2, 1, 4)


def test_what_a_retry_saves_of_a_failure_takes_the_place_of_what_was_saved_before(
    owner: Actor,
) -> None:
    job = submit(owner.organization, "one")
    fail_next(partial="all")
    retry_job(actor=owner, job=job)
    fail_next(partial="all that")
    [file] = files(job)
    assert (file.result.run, file.result.words) == (2, 2)


def test_a_container_that_was_opened_is_not_read_anew_by_itself(owner: Actor) -> None:
    job = submit_files(owner.organization, {"all.zip": zip_of("one")})
    file = claimed()
    assert succeed(BatchFileHandler, file, opened(Scripted(), file, {"1.txt": b"one"}))
    read_next()
    with pytest.raises(NothingToRetry, match="opened already"):
        requeue_job(actor=owner, job=job, only=[file])


def test_nothing_is_requeued_while_the_job_is_open(owner: Actor, three: BatchJob) -> None:
    read_next()
    with pytest.raises(JobUnfinished):
        requeue_job(actor=owner, job=three)
