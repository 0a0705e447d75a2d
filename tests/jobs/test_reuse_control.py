"""The same bytes are read once, also when some are paused or run again."""

import pytest

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import FileAttempt
from apps.jobs.services import (
    pause_job,
    requeue_job,
    resume_job,
    retry_job,
)
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import Scripted, check_books, claimed, failure_of, owner_of
from tests.jobs.containers import submit_files
from tests.jobs.likes import SAME, is_nothing_to_claim, state_of, the_file
from tests.jobs.runs import fail_next, read_next

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("roomy")]


# --- while paused ---------------------------------------------------------------------------------


def test_when_the_leader_is_paused_the_next_is_read_and_both_have_the_result(
    acme: Organization,
) -> None:
    first, *others = [submit_files(acme, SAME) for _ in range(3)]
    pause_job(actor=owner_of(acme), job=first)
    leader, waiting = map(the_file, others)
    assert (leader.waits_for_id, leader.is_held) == (None, False)
    assert (waiting.waits_for_id, the_file(first).waits_for_id) == (leader.pk, leader.pk)
    assert read_next().pk == leader.pk
    assert [state_of(job) for job in (first, others[1])] == [("succeeded", "duplicate")] * 2
    assert FileAttempt.objects.count() == 1
    check_books()


def test_a_leader_that_runs_is_waited_for_though_its_job_is_paused(acme: Organization) -> None:
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    running = claimed()
    pause_job(actor=owner_of(acme), job=first)
    assert is_nothing_to_claim()
    assert succeed(BatchFileHandler, running, Scripted().read())
    assert state_of(second) == ("succeeded", "duplicate")


def test_a_leader_that_fails_while_paused_gives_its_place_away(acme: Organization) -> None:
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    running = claimed()
    pause_job(actor=owner_of(acme), job=first)
    assert fail(BatchFileHandler, running, failure_of(FailureClass.CRASH))
    assert the_file(first).waits_for_id == the_file(second).pk
    assert read_next().job_id == second.pk
    assert state_of(first) == ("succeeded", "duplicate")
    check_books()


def test_all_that_are_paused_wait_and_the_first_that_is_resumed_is_read(
    acme: Organization,
) -> None:
    owner = owner_of(acme)
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    pause_job(actor=owner, job=second)
    pause_job(actor=owner, job=first)
    BatchFileHandler.repair()
    assert is_nothing_to_claim()
    assert the_file(second).waits_for_id == the_file(first).pk
    resume_job(actor=owner, job=second)
    assert read_next().job_id == second.pk
    assert state_of(first) == ("succeeded", "duplicate")
    check_books()


@pytest.mark.parametrize("which", [0, 1], ids=["leader", "follower"])
def test_one_that_is_paused_by_itself_stays_so_whatever_becomes_of_its_like(
    acme: Organization, which: int
) -> None:
    jobs = [submit_files(acme, SAME), submit_files(acme, SAME)]
    job, other = jobs[which], jobs[1 - which]
    pause_job(actor=owner_of(acme), job=job, only=[the_file(job)])
    assert fail_next().job_id == other.pk
    BatchFileHandler.repair()
    assert is_nothing_to_claim()
    assert (the_file(job).waits_for_id, the_file(job).is_held) == (None, True)
    resume_job(actor=owner_of(acme), job=job, only=[the_file(job)])
    assert read_next().job_id == job.pk
    check_books()


def test_one_that_is_paused_by_itself_has_what_was_read_once_it_is_resumed(
    acme: Organization,
) -> None:
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    pause_job(actor=owner_of(acme), job=first, only=[the_file(first)])
    assert read_next().job_id == second.pk
    assert state_of(first) == ("queued", "queued")
    resume_job(actor=owner_of(acme), job=first)
    assert state_of(first) == ("succeeded", "duplicate")
    check_books()


def test_one_that_is_resumed_has_what_was_read_meanwhile(acme: Organization) -> None:
    first = submit_files(acme, SAME)
    pause_job(actor=owner_of(acme), job=first)
    submit_files(acme, SAME)
    read_next()
    resume_job(actor=owner_of(acme), job=first)
    assert is_nothing_to_claim()
    assert state_of(first) == ("succeeded", "duplicate")
    check_books()


def test_one_that_is_resumed_waits_for_what_is_read_just_now(acme: Organization) -> None:
    first = submit_files(acme, SAME)
    pause_job(actor=owner_of(acme), job=first)
    submit_files(acme, SAME)
    running = claimed()
    resume_job(actor=owner_of(acme), job=first)
    assert is_nothing_to_claim()
    assert fail(BatchFileHandler, running, failure_of(FailureClass.PERMANENT))
    assert read_next().job_id == first.pk
    check_books()


# --- run again ------------------------------------------------------------------------------------


def test_a_retry_reads_the_same_bytes_once(acme: Organization) -> None:
    job = submit_files(acme, {**SAME, "b.txt": SAME["a.txt"]})
    fail_next()
    fail_next()
    retry_job(actor=owner_of(acme), job=job)
    read_next()
    assert is_nothing_to_claim()
    job.refresh_from_db()
    assert (job.state, job.succeeded, job.duplicates) == ("succeeded", 2, 1)
    check_books()


def test_a_retry_has_what_was_read_meanwhile(acme: Organization) -> None:
    job = submit_files(acme, SAME)
    fail_next()
    submit_files(acme, SAME)
    read_next()
    retry_job(actor=owner_of(acme), job=job)
    assert state_of(job) == ("succeeded", "duplicate")
    check_books()


def test_a_requeue_reads_a_duplicate_for_itself(acme: Organization) -> None:
    original = submit_files(acme, SAME)
    read_next("the first time")
    job = submit_files(acme, SAME)
    requeue_job(actor=owner_of(acme), job=job)
    assert state_of(job) == ("queued", "queued")
    job.refresh_from_db()
    assert (job.succeeded, job.duplicates) == (0, 0)
    assert read_next("the second time").job_id == job.pk
    assert (state_of(job), state_of(original)) == (("succeeded", "succeeded"),) * 2
    assert the_file(original).result.content_id != the_file(job).result.content_id
    check_books()
