"""The same bytes with the same operation and options in one organization are read once."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, Completion, FileAttempt, FileResult
from apps.jobs.services import (
    cancel_job,
    prioritize_job,
)
from apps.processors.protocol import Options
from apps.processors.text import TextProcessor
from apps.queue.models import Priority
from apps.queue.retry import FailureClass
from apps.queue.settle import succeed
from tests.batches import Scripted, check_books, claimed, owner_of
from tests.jobs.containers import open_next, submit_files, zip_of
from tests.jobs.forms import body, files_of
from tests.jobs.likes import SAME, end_badly, is_nothing_to_claim, state_of, the_file
from tests.jobs.runs import fail_next, read_next

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("roomy")]


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
    assert list(Completion.objects.order_by("pk").values_list("job", flat=True)) == [
        first.pk,
        second.pk,
    ]
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


def queries_of_submitting(organization: Organization, files: dict[str, bytes]) -> int:
    with CaptureQueriesContext(connection) as seen:
        submit_files(organization, files)
    return len(seen)


def test_what_is_known_is_asked_for_all_files_at_once(acme: Organization) -> None:
    """A file whose like was, or is being, read costs no more queries than one that is new."""

    def files(first: int, count: int) -> dict[str, bytes]:
        return {f"{number}.txt": b"file %d" % number for number in range(first, first + count)}

    few, many = files(0, 4), files(100, 24)
    queries_of_submitting(acme, files(1000, 1))  # the first in line takes some of its own
    new = [queries_of_submitting(acme, files) for files in (few, many)]
    waiting = [queries_of_submitting(acme, files) for files in (few, many)]
    assert BatchFile.objects.exclude(waits_for=None).count() == 28
    for _ in range(29):
        read_next()
    known = [queries_of_submitting(acme, files) for files in (few, many)]
    assert BatchFile.objects.filter(state="duplicate").count() == 56
    grown = [after - before for before, after in (new, waiting, known)]
    assert max(grown) <= grown[0], (new, waiting, known)
