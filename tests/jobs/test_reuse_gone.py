"""What becomes of duplicates, and of those who wait, when the other is gone or its process died."""

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.cleanup import remove
from apps.jobs.errors import JobUnfinished
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, Blob, FileAttempt
from apps.jobs.services import (
    cancel_job,
    delete_job,
    pause_job,
    removing,
)
from apps.queue.models import in_seconds
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import Scripted, check_books, claimed, failure_of, owner_of
from tests.jobs.containers import submit_files
from tests.jobs.forms import body, files_of, stored
from tests.jobs.likes import SAME, is_nothing_to_claim, killed_after_commit, state_of, the_file
from tests.jobs.runs import read_next

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("roomy")]


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


def test_nobody_waits_for_what_is_removed_together_with_the_leader(acme: Organization) -> None:
    failed, *others = waiting_for_one_that_ended(acme, "failed")
    like = submit_files(acme, SAME)
    assert read_next().job_id == like.pk
    BatchJob.objects.filter(pk=failed.pk).update(expires_at=in_seconds(-60))
    BatchJob.objects.filter(pk=like.pk).update(expires_at=in_seconds(-120))  # goes first
    assert remove(BatchJob.objects.expired()).jobs == 2
    assert read_next().job_id == others[0].pk
    assert {state_of(job)[0] for job in others} == {"succeeded"}
    check_books()


@pytest.mark.parametrize("way", ["deleted", "expired"])
def test_an_original_lets_go_of_very_many_in_slices(
    acme: Organization, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(removing, "UNLINKED_TOGETHER", 2)
    first = submit_files(acme, SAME)
    read_next()
    copies = [submit_files(acme, SAME) for _ in range(5)]
    first.refresh_from_db()
    with CaptureQueriesContext(connection) as sent:
        if way == "deleted":
            delete_job(actor=owner_of(acme), job=first)
        else:
            BatchJob.objects.filter(pk=first.pk).update(expires_at=in_seconds(-60))
            assert remove(BatchJob.objects.expired()).jobs == 1
    unlinked = [
        query["sql"]
        for query in sent
        if query["sql"].startswith("UPDATE") and '"duplicate_of_id" = NULL' in query["sql"]
    ]
    assert len(unlinked) == 3, "two slices, and the rest with the job"
    assert {the_file(job).duplicate_of_id for job in copies} == {None}
    assert {state_of(job) for job in copies} == {("succeeded", "duplicate")}


def test_a_job_that_stays_keeps_its_links(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "UNLINKED_TOGETHER", 0)
    first = submit_files(acme, {**SAME, "b.txt": b"another"})
    read_next()
    copy = submit_files(acme, SAME)
    with pytest.raises(JobUnfinished):
        delete_job(actor=owner_of(acme), job=first)
    assert the_file(copy).duplicate_of_id is not None


def test_the_sweep_is_not_kept_from_some_by_those_it_cannot_help(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.jobs.services.following.REPAIR_BATCH", 2)
    for number in range(4):
        paused = {"a.txt": b"paused %d" % number}
        for job in (submit_files(acme, paused), submit_files(acme, paused)):
            pause_job(actor=owner_of(acme), job=job)
    _, *others = waiting_for_one_that_ended(acme, "succeeded")
    BatchFileHandler.repair()
    assert {state_of(job) for job in others} == {("succeeded", "duplicate")}
