"""The same bytes with the same operation and options in one organization are read once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, Blob, Completion, FileAttempt, FileResult
from apps.jobs.services import (
    cancel_job,
    delete_job,
    pause_job,
    prioritize_job,
    requeue_job,
    resume_job,
    retry_job,
)
from apps.processors.protocol import Options
from apps.processors.text import TextProcessor
from apps.queue.claim import claim
from apps.queue.models import Priority
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import SOMEBODY, Scripted, check_books, claimed, failure_of, owner_of
from tests.jobs.containers import open_next, submit_files, zip_of
from tests.jobs.forms import body, files_of, stored
from tests.jobs.runs import fail_next, read_next

pytestmark = pytest.mark.django_db(transaction=True)

SAME = {"a.txt": b"the same bytes"}
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.fixture(autouse=True)
def _roomy(settings: Settings) -> None:
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 100}


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


# --- read before ----------------------------------------------------------------------------------


def test_the_second_time_the_result_is_there_at_once(
    acme: Organization, alice_api: APIClient
) -> None:
    original = the_file(submit_files(acme, SAME))
    read_next("what is in it")
    job = submit_files(acme, {"b.txt": SAME["a.txt"]})
    file = the_file(job)
    assert (job.state, job.succeeded, job.duplicates) == ("succeeded", 1, 1)
    assert job.finished_at is not None
    assert (file.state, file.duplicate_of_id, file.attempts) == ("duplicate", original.pk, 0)
    assert (file.progress, file.finished_at is not None) == (1.0, True)
    assert is_nothing_to_claim()
    assert (file.result.words, file.result.engine) == (4, "script")
    assert Completion.objects.filter(job=job, run=1, state="succeeded").count() == 1
    check_books()
    [shown] = files_of(alice_api, {"id": job.pk})
    assert (shown["state"], shown["duplicate_of"]) == ("duplicate", str(original.pk))
    assert body(alice_api.get(shown["text_url"])) == b"what is in it"


def test_only_some_of_a_job_may_be_known(acme: Organization) -> None:
    submit_files(acme, SAME)
    read_next()
    job = submit_files(acme, {**SAME, "new.txt": b"new bytes"})
    assert (job.state, job.succeeded, job.duplicates) == ("queued", 1, 1)
    assert read_next().name == "new.txt"
    job.refresh_from_db()
    assert (job.state, job.succeeded, job.duplicates) == ("succeeded", 2, 1)
    check_books()


def test_another_organization_reads_again(acme: Organization, other: Organization) -> None:
    submit_files(acme, SAME)
    elsewhere = submit_files(other, SAME)
    read_next("acme's")
    assert state_of(elsewhere) == ("queued", "queued")
    read_next("other's")
    assert FileAttempt.objects.count() == 2
    assert len(set(FileResult.objects.values_list("content__organization"))) == 2
    again = submit_files(other, SAME)
    assert the_file(again).duplicate_of_id == the_file(elsewhere).pk


DIFFERENT: dict[str, tuple[dict[str, bytes], dict[str, Any]]] = {
    "bytes": ({"a.txt": b"other bytes"}, {}),
    "kind": ({"a.md": SAME["a.txt"]}, {}),
    "pages": (SAME, {"options": Options(pages="1")}),
    "ocr": (SAME, {"options": Options(ocr="force")}),
    "languages": (SAME, {"options": Options(languages=("deu",))}),
    "password": (SAME, {"options": Options(password="secret")}),
}


@pytest.mark.parametrize("difference", DIFFERENT)
def test_what_differs_is_read_again(acme: Organization, difference: str) -> None:
    submit_files(acme, SAME)
    read_next()
    files, asked = DIFFERENT[difference]
    assert state_of(submit_files(acme, files, **asked)) == ("queued", "queued")
    read_next()
    assert state_of(submit_files(acme, files, **asked)) == ("succeeded", "duplicate")


def test_another_operation_reads_again(acme: Organization) -> None:
    submit_files(acme, {"a.png": PNG})
    read_next(lane="default")
    assert state_of(submit_files(acme, {"a.png": PNG}, operation="ocr")) == ("queued", "queued")


def test_what_changed_here_since_is_read_again(
    acme: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OCR_LANGUAGES = ["eng"]
    submit_files(acme, SAME)
    read_next()
    named = submit_files(acme, SAME, options=Options(languages=("eng",)))
    assert state_of(named) == ("succeeded", "duplicate"), "what is set is what was asked for"
    settings.OCR_LANGUAGES = ["deu"]
    assert state_of(submit_files(acme, SAME)) == ("queued", "queued")
    settings.OCR_LANGUAGES = ["eng"]
    settings.SEARCHABLE_PDF = True
    assert state_of(submit_files(acme, SAME)) == ("queued", "queued")
    settings.SEARCHABLE_PDF = False
    monkeypatch.setattr(TextProcessor, "version", "another")
    assert state_of(submit_files(acme, SAME)) == ("queued", "queued")


@pytest.mark.parametrize("end", ["failed", "cancelled", "quarantined"])
def test_only_what_was_read_to_its_end_is_reused(acme: Organization, end: str) -> None:
    job = submit_files(acme, SAME)
    end_badly(job, end)
    assert the_file(job).state == end
    assert state_of(submit_files(acme, SAME)) == ("queued", "queued")


def end_badly(job: BatchJob, end: str) -> None:
    """Ends the only file of `job`, which is the first in line."""
    if end == "cancelled":
        cancel_job(actor=owner_of(job.organization), job=job)
    elif end == "failed":
        fail_next(partial="half of it")
    else:
        fail_next(FailureClass.CRASH)
        fail_next(FailureClass.CRASH)


# --- read at the same time ------------------------------------------------------------------------


def test_of_the_same_job_the_first_is_read(acme: Organization) -> None:
    job = submit_files(acme, {**SAME, "b.txt": SAME["a.txt"], "c.txt": b"other bytes"})
    first, second, third = BatchFile.objects.order_by("position")
    assert (second.state, second.waits_for_id, second.is_held) == ("queued", first.pk, True)
    assert (first.waits_for_id, third.waits_for_id) == (None, None)
    assert [claimed().pk, claimed().pk] == [first.pk, third.pk]
    assert is_nothing_to_claim()
    check_books()
    for file in BatchFile.objects.running():
        assert succeed(BatchFileHandler, file, Scripted().read())
    second.refresh_from_db()
    assert (second.state, second.duplicate_of_id, second.waits_for_id) == (
        "duplicate",
        first.pk,
        None,
    )
    job.refresh_from_db()
    assert (job.state, job.succeeded, job.duplicates) == ("succeeded", 3, 1)
    check_books()


@pytest.mark.parametrize("is_running", [False, True])
def test_a_second_job_waits_for_the_first(acme: Organization, is_running: bool) -> None:
    first = submit_files(acme, SAME)
    running = claimed() if is_running else None
    second = submit_files(acme, SAME)
    assert the_file(second).waits_for_id == the_file(first).pk
    file = running or claimed()
    assert is_nothing_to_claim()
    assert succeed(BatchFileHandler, file, Scripted().read("read once"))
    assert state_of(first) == ("succeeded", "succeeded")
    assert state_of(second) == ("succeeded", "duplicate")
    assert the_file(second).result.content_id == the_file(first).result.content_id
    assert list(Completion.objects.values_list("job", flat=True)) == [first.pk, second.pk]
    assert FileAttempt.objects.count() == 1
    check_books()


def test_a_leader_that_is_tried_again_is_waited_for(acme: Organization) -> None:
    submit_files(acme, SAME)
    second = submit_files(acme, SAME)
    fail_next(FailureClass.CRASH)
    assert state_of(second) == ("queued", "queued")
    read_next()
    assert state_of(second) == ("succeeded", "duplicate")


@pytest.mark.parametrize("end", ["failed", "cancelled", "quarantined"])
def test_when_the_leader_ends_badly_one_takes_its_place(acme: Organization, end: str) -> None:
    first, *others = [submit_files(acme, SAME) for _ in range(4)]
    end_badly(first, end)
    leader, *waiting = map(the_file, others)
    assert (leader.waits_for_id, leader.is_held) == (None, False)
    assert [(file.waits_for_id, file.is_held) for file in waiting] == [(leader.pk, True)] * 2
    assert claimed().pk == leader.pk
    assert is_nothing_to_claim()
    leader.refresh_from_db()
    assert succeed(BatchFileHandler, leader, Scripted().read())
    assert state_of(others[0]) == ("succeeded", "succeeded")
    assert [state_of(job) for job in others[1:]] == [("succeeded", "duplicate")] * 2
    check_books()


def test_one_that_is_cancelled_while_it_runs_gives_its_place_away_when_it_stops(
    acme: Organization,
) -> None:
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    running = claimed()
    cancel_job(actor=owner_of(acme), job=first)
    assert is_nothing_to_claim()
    assert succeed(BatchFileHandler, running, Scripted().read())  # too late
    assert state_of(first) == ("cancelled", "cancelled")
    assert read_next().job_id == second.pk
    check_books()


def test_the_most_urgent_takes_the_leaders_place(acme: Organization) -> None:
    first, low, high = (
        submit_files(acme, SAME, priority=priority)
        for priority in (Priority.NORMAL, Priority.LOW, Priority.HIGH)
    )
    end_badly(first, "failed")
    assert (the_file(high).waits_for_id, the_file(low).waits_for_id) == (None, the_file(high).pk)


def test_a_leader_is_as_urgent_as_who_waits_for_it(acme: Organization) -> None:
    first = submit_files(acme, SAME, priority=Priority.LOW)
    between = submit_files(acme, {"b.txt": b"other"}, priority=Priority.NORMAL)
    submit_files(acme, SAME, priority=Priority.LOW)
    assert the_file(first).priority == Priority.LOW
    third = submit_files(acme, SAME, priority=Priority.HIGH)
    assert the_file(first).priority == Priority.HIGH
    assert [claimed().job_id, claimed().job_id] == [first.pk, between.pk]
    prioritize_job(actor=owner_of(acme), job=third, priority=Priority.LOW)
    assert the_file(first).priority == Priority.HIGH, "it runs"


def test_one_that_waits_and_is_moved_up_moves_its_leader_up(acme: Organization) -> None:
    first = submit_files(acme, SAME, priority=Priority.LOW)
    second = submit_files(acme, SAME, priority=Priority.LOW)
    prioritize_job(actor=owner_of(acme), job=second, priority=Priority.HIGH)
    assert the_file(first).priority == Priority.HIGH


def test_one_that_waits_and_is_cancelled_stays_so(acme: Organization) -> None:
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    cancel_job(actor=owner_of(acme), job=second)
    file = the_file(second)
    assert (file.state, file.waits_for_id, file.is_held) == ("cancelled", None, False)
    assert read_next().job_id == first.pk
    assert state_of(second) == ("cancelled", "cancelled")
    check_books()


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


# --- what is found in others ----------------------------------------------------------------------


def test_members_are_read_once_and_containers_each_time(acme: Organization) -> None:
    bundle = {"all.zip": zip_of("one", "two")}
    first, second = submit_files(acme, bundle), submit_files(acme, bundle)
    found = {"1.txt": b"one", "2.txt": b"two"}
    assert {open_next(found).job_id, open_next(found).job_id} == {first.pk, second.pk}
    assert [read_next().job_id for _ in found] == [first.pk] * 2
    assert is_nothing_to_claim()
    for job, ends in ((first, "succeeded"), (second, "duplicate")):
        job.refresh_from_db()
        assert (job.state, job.succeeded) == ("succeeded", 3)
        states = BatchFile.objects.filter(job=job, depth=1).values_list("state", flat=True)
        assert list(states) == [ends] * 2
    check_books()


def test_a_member_that_was_submitted_before_has_its_result(acme: Organization) -> None:
    submit_files(acme, {"1.txt": b"one"})
    read_next("read before")
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next({"1.txt": b"one"})
    job.refresh_from_db()
    assert (job.state, job.succeeded, job.duplicates) == ("succeeded", 2, 1)
    assert Completion.objects.filter(job=job).count() == 1
    check_books()


# --- what is gone ---------------------------------------------------------------------------------


def test_a_duplicate_outlives_its_original(
    acme: Organization, alice_api: APIClient, data_dir: Path
) -> None:
    first = submit_files(acme, SAME)
    read_next("what is in it")
    second = submit_files(acme, SAME)
    first.refresh_from_db()
    delete_job(actor=owner_of(acme), job=first)
    storage.remove_orphans()
    [shown] = files_of(alice_api, {"id": second.pk})
    assert (shown["state"], shown["duplicate_of"]) == ("duplicate", None)
    assert body(alice_api.get(shown["text_url"])) == b"what is in it"
    assert body(alice_api.get(shown["content_url"])) == SAME["a.txt"]
    third = submit_files(acme, SAME)
    assert state_of(third) == ("succeeded", "duplicate")
    assert the_file(third).duplicate_of_id == the_file(second).pk
    for job in (second, third):
        job.refresh_from_db()
        delete_job(actor=owner_of(acme), job=job)
    assert not Blob.objects.exists()
    assert stored(data_dir / "blobs") == []


def test_what_was_lost_from_the_disk_is_read_again(acme: Organization) -> None:
    first = submit_files(acme, SAME)
    read_next()
    storage.path_of(the_file(first).result.content).unlink()
    assert state_of(submit_files(acme, SAME)) == ("queued", "queued")


def test_what_was_lost_while_others_waited_is_read_again(acme: Organization) -> None:
    first, second = submit_files(acme, SAME), submit_files(acme, SAME)
    file = claimed()
    killed_after_commit(lambda: succeed(BatchFileHandler, file, Scripted().read()))
    storage.path_of(the_file(first).result.content).unlink()
    BatchFileHandler.repair()
    assert read_next().job_id == second.pk
    check_books()


def waiting_for_one_that_ended(organization: Organization, end: str) -> list[BatchJob]:
    """A job that ended, and three whose files wait for its: the process died before it saw to
    them."""
    jobs = [submit_files(organization, SAME) for _ in range(4)]
    if end == "cancelled":
        killed_after_commit(lambda: cancel_job(actor=owner_of(organization), job=jobs[0]))
    else:
        file = claimed()
        output, failure = Scripted().read(), failure_of(FailureClass.PERMANENT)
        ends = {
            "succeeded": lambda: succeed(BatchFileHandler, file, output),
            "failed": lambda: fail(BatchFileHandler, file, failure),
        }
        killed_after_commit(ends[end])
    leader = the_file(jobs[0])
    assert leader.state == end
    assert BatchFile.objects.filter(waits_for=leader).count() == 3
    return jobs


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_the_sweep_sees_to_those_whom_a_killed_process_left_waiting(
    acme: Organization, end: str
) -> None:
    _, *others = waiting_for_one_that_ended(acme, end)
    BatchFileHandler.repair()
    if end != "succeeded":
        assert read_next().job_id == others[0].pk
    assert is_nothing_to_claim()
    assert {state_of(job)[0] for job in others} == {"succeeded"}
    assert FileAttempt.objects.filter(outcome="succeeded").count() == 1
    check_books()


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_nobody_waits_for_what_was_deleted(acme: Organization, end: str) -> None:
    first, *others = waiting_for_one_that_ended(acme, end)
    first.refresh_from_db()
    delete_job(actor=owner_of(acme), job=first)
    assert read_next().job_id == others[0].pk
    assert is_nothing_to_claim()
    assert {state_of(job)[0] for job in others} == {"succeeded"}
    check_books()


def test_the_sweep_is_not_kept_from_some_by_those_it_cannot_help(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.jobs.services.reuse.REPAIR_BATCH", 2)
    for number in range(4):
        paused = {"a.txt": b"paused %d" % number}
        for job in (submit_files(acme, paused), submit_files(acme, paused)):
            pause_job(actor=owner_of(acme), job=job)
    _, *others = waiting_for_one_that_ended(acme, "succeeded")
    BatchFileHandler.repair()
    assert {state_of(job) for job in others} == {("succeeded", "duplicate")}


def queries_of_submitting(organization: Organization, files: dict[str, bytes]) -> int:
    with CaptureQueriesContext(connection) as seen:
        submit_files(organization, files)
    return len(seen)


def test_what_is_known_is_asked_for_all_files_at_once(acme: Organization) -> None:
    """A file whose like was, or is being, read costs no more queries than one that is new."""

    def files(first: int, count: int) -> dict[str, bytes]:
        return {f"{number}.txt": b"file %d" % number for number in range(first, first + count)}

    few, many = files(0, 4), files(100, 24)
    new = [queries_of_submitting(acme, files) for files in (few, many)]
    waiting = [queries_of_submitting(acme, files) for files in (few, many)]
    assert BatchFile.objects.exclude(waits_for=None).count() == 28
    for _ in range(28):
        read_next()
    known = [queries_of_submitting(acme, files) for files in (few, many)]
    assert BatchFile.objects.filter(state="duplicate").count() == 56
    grown = [after - before for before, after in (new, waiting, known)]
    assert max(grown) <= grown[0], (new, waiting, known)
