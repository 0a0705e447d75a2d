"""One act on everything that matches: what it takes, what it leaves, and that it adds up."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.audit.verifying import verify_all
from apps.jobs import bulk
from apps.jobs.models import BatchFile, BatchJob, BulkTarget
from apps.jobs.services import delete_job, pause_job, prioritize_job, resume_job, retry_job
from apps.queue import lease, sweep, worker
from apps.queue.models import Priority, WorkItem, in_seconds
from apps.queue.pauses import pause
from apps.queue.work_items import retry_work
from tests.batches import check_books, owner_of, submit
from tests.jobs.bulk_requests import many, organizations, request, work
from tests.jobs.runs import fail_next, read_next
from tests.operators import list_of, superuser
from tests.processes import Process, eventually
from tests.queue.conftest import _fresh_process_state

__all__ = ["_fresh_process_state"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def test_all_that_match_are_done_not_only_a_page(operator: Client) -> None:
    branches = organizations(3)
    for branch, count in zip(branches, (100, 100, 50), strict=True):
        many(branch, count, operation="ocr")
    others = [submit(branch, "text") for branch in branches]
    page = operator.get(list_of("batchjob"), {"operation": "ocr"})
    assert len(page.context["cl"].result_list) == 50
    assert "Act on all 250 matching" in page.content.decode()
    shown = operator.get(f"{list_of('batchjob')}bulk/keep/?operation=ocr")
    assert shown.context["preview"].count == 250
    assert dict(shown.context["preview"].organizations) == {
        "Branch 0": 100,
        "Branch 1": 100,
        "Branch 2": 50,
    }
    assert "Keep: 250 batch jobs" in shown.content.decode()
    answer = request(operator, "batchjob", "keep", "?operation=ocr", reason="An audit.")
    assert answer.status_code == 200
    item = work()
    assert (item.state, item.result) == ("succeeded", {"done": 250, "skipped": {}})
    assert BatchJob.objects.filter(is_kept=True, operation="ocr").count() == 250
    assert not BatchJob.objects.filter(pk__in=[job.pk for job in others], is_kept=True).exists()
    assert not BulkTarget.objects.exists()
    assert not list(verify_all())


def test_what_comes_to_match_later_is_not_touched(operator: Client, acme: Organization) -> None:
    failed, later = submit(acme, "one"), submit(acme, "two")
    fail_next()
    request(operator, "batchjob", "delete", "?state=failed")
    fail_next()
    assert set(BatchJob.objects.values_list("state", flat=True)) == {"failed"}
    assert work().result == {"done": 1, "skipped": {}}
    assert not BatchJob.objects.filter(pk=failed.pk).exists()
    assert BatchJob.objects.filter(pk=later.pk).exists()


def test_what_does_not_match_any_more_is_left_alone(
    operator: Client, acme: Organization, alice: User
) -> None:
    """It failed when all that failed were to be deleted; its owner had it run again, and it did."""
    saved, gone, lost = (submit(acme, text) for text in ("one", "two", "three"))
    for _ in range(3):
        fail_next()
    request(operator, "batchjob", "delete", "?state=failed")
    retry_job(actor=owner_of(acme), job=saved)
    read_next()
    delete_job(actor=owner_of(acme), job=gone)
    item = work()
    assert item.result == {
        "done": 1,
        "skipped": {bulk.CHANGED: 1, "There is no such job.": 1},
    }
    assert list(BatchJob.objects.values_list("pk", flat=True)) == [saved.pk]
    assert lost.pk != saved.pk
    check_books()


def test_files_that_left_the_lane_or_were_let_go_meanwhile_are_left_alone(
    operator: Client, acme: Organization
) -> None:
    """What can be filtered by and changes: whether it is held back, its lane, its priority."""
    held, freed, moved = (submit(acme, text) for text in ("one", "two", "three"))
    owner = owner_of(acme)
    for job in (held, freed, moved):
        pause_job(actor=owner, job=job)
    request(operator, "batchfile", "cancel", "?is_held=True&lane=default&priority=5")
    resume_job(actor=owner, job=freed)
    prioritize_job(actor=owner, job=moved, priority=Priority.LOW)
    assert work().result == {"done": 1, "skipped": {bulk.CHANGED: 2}}
    states = dict(BatchJob.objects.values_list("pk", "state"))
    assert states == {held.pk: "cancelled", freed.pk: "queued", moved.pk: "paused"}


def test_a_service_has_the_last_word(operator: Client, acme: Organization) -> None:
    ended, waits = submit(acme, "one"), submit(acme, "two")
    read_next()
    request(operator, "batchjob", "cancel")
    assert work().result == {"done": 1, "skipped": {"There is nothing left to cancel.": 1}}
    states = dict(BatchJob.objects.values_list("pk", "state"))
    assert states == {ended.pk: "succeeded", waits.pk: "cancelled"}


def test_it_runs_while_everything_is_paused(
    operator: Client, acme: Organization, alice: User
) -> None:
    jobs = many(acme, 3)
    for job in jobs:
        pause_job(actor=owner_of(acme), job=job)
    pause(by=alice)
    pause(by=alice, organization=acme)
    pause(by=alice, lane="sync")
    request(operator, "batchjob", "resume", "?state=paused")
    assert work().result == {"done": 3, "skipped": {}}
    assert set(BatchJob.objects.values_list("state", flat=True)) == {"queued"}
    assert not BatchFile.objects.filter(is_held=True).exists()


def test_people_see_who_paused_their_job_and_why(operator: Client, acme: Organization) -> None:
    job = submit(acme, "one")
    request(operator, "batchjob", "pause", reason="The scanner is being repaired.")
    work()
    job.refresh_from_db()
    assert (job.state, job.pause_reason) == ("paused", "The scanner is being repaired.")
    assert job.paused_by.email == "root@example.com"


def test_files_of_one_job_go_together_and_the_others_stay(
    operator: Client, acme: Organization
) -> None:
    jobs = [submit(acme, f"{n} one", f"{n} two", f"{n} three") for n in range(2)]
    for _ in jobs:
        read_next()
        fail_next()
        fail_next()
    BatchFile.objects.filter(position=2).update(error_class="infra")
    page = operator.get(list_of("batchfile"), {"error_class": "permanent"})
    assert "Act on all 2 matching" in page.content.decode()
    request(operator, "batchfile", "retry", "?error_class=permanent")
    assert work().result == {"done": 2, "skipped": {}}
    states = sorted(BatchFile.objects.values_list("position", "state"))
    assert states == [(1, "succeeded")] * 2 + [(2, "failed")] * 2 + [(3, "queued")] * 2
    check_books()


def test_files_that_do_not_fit_spoil_nothing(operator: Client, acme: Organization) -> None:
    submit(acme, "one", "two", "three")
    read_next()
    fail_next()
    fail_next()
    request(operator, "batchfile", "retry")
    assert work().result == {
        "done": 2,
        "skipped": {"The file did not fail and was not cancelled.": 1},
    }
    request(operator, "batchfile", "cancel", "?state=succeeded")
    assert work().result == {"done": 0, "skipped": {"The file has ended.": 1}}
    assert sorted(BatchFile.objects.values_list("state", flat=True)) == [
        "queued",
        "queued",
        "succeeded",
    ]
    check_books()


def test_everything_is_in_the_log(operator: Client) -> None:
    branches = organizations(2)
    jobs = [submit(branch, "text") for branch in (*branches, branches[0])]
    request(operator, "batchjob", "cancel", "?state=queued", reason="By mistake.")
    item = work()
    each = AuditEntry.objects.filter(action="job.cancel")
    assert {entry.target_id for entry in each} == {str(job.pk) for job in jobs}
    for entry in each:
        assert json.loads(entry.detail)["work"] == str(item.pk)
        assert entry.actor_name == "root@example.com"
    ends = AuditEntry.objects.filter(action="jobs.bulk", target_id=str(item.pk))
    told = {entry.chain_id: json.loads(entry.detail) for entry in ends}
    title = "Cancel: jobs, state queued"
    assert told == {
        str(branches[0].pk): {"title": title, "done": 2, "skipped": 0},
        str(branches[1].pk): {"title": title, "done": 1, "skipped": 0},
        "system": {"title": title, "state": "succeeded", "result": {"done": 3, "skipped": {}}},
    }
    asked = AuditEntry.objects.get(action="work.request")
    assert json.loads(asked.detail)["payload"]["filter"] == {"state": "queued"}
    assert {entry.reason for entry in (*ends, asked)} == {"By mistake."}
    assert not list(verify_all())


def test_organizations_are_told_before_there_are_too_many(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "ORGANIZATIONS_AT_ONCE", 2)
    branches = organizations(3)
    for branch in branches:
        submit(branch, "text")
    request(operator, "batchjob", "keep")
    item = work()
    assert item.result == {"done": 3, "skipped": {}}
    ends = AuditEntry.objects.filter(action="jobs.bulk", target_id=str(item.pk))
    chains = set(ends.values_list("chain_id", flat=True))
    assert chains == {"system", *(str(branch.pk) for branch in branches)}


def test_cancelled_half_way_it_can_go_on(
    operator: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.02)
    many(acme, 6)
    request(operator, "batchjob", "keep")
    root = User.objects.get(email="root@example.com")
    real, calls = bulk._deal_with, []

    def slowly(item: WorkItem, *args: Any) -> None:
        real(item, *args)
        calls.append(args)
        if len(calls) == 2:
            WorkItem.objects.filter(pk=item.pk).update(cancel_requested=True)
            transaction.on_commit(lambda: time.sleep(0.5))

    monkeypatch.setattr(bulk, "_deal_with", slowly)
    item = work()
    assert (item.state, item.result["done"]) == ("cancelled", 2)
    assert BatchJob.objects.filter(is_kept=True).count() == 2
    assert BulkTarget.objects.count() == 4
    retry_work(by=root, item=item)
    item = work()
    assert (item.state, item.result["done"]) == ("succeeded", 6)
    assert AuditEntry.objects.filter(action="job.keep").count() == 6


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_that_dies_in_a_step_leaves_exactly_the_rest(
    operator: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Cancelled once, a job cannot be cancelled again: were one repeated, it would be skipped."""
    many(acme, 6)
    request(operator, "batchjob", "cancel")
    real, calls = bulk._deal_with, []

    class Killed(BaseException):
        """Nothing in the worker catches it, as nothing catches SIGKILL."""

    def dies(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 3 and moment == "before":
            raise Killed
        real(*args)
        if len(calls) == 3:
            raise Killed

    monkeypatch.setattr(bulk, "_deal_with", dies)
    with pytest.raises(Killed):
        worker.work_off("sync")
    assert WorkItem.objects.get().result["done"] == 2
    WorkItem.objects.update(lease_expires_at=in_seconds(-1))
    assert sweep.take_back_lost() == 1
    item = work()
    assert (item.state, item.result) == ("succeeded", {"done": 6, "skipped": {}})
    assert AuditEntry.objects.filter(action="job.cancel").count() == 6
    assert not list(verify_all())


@pytest.mark.timeout(240)
def test_a_killed_worker_is_followed_by_one_that_does_the_rest(
    operator: Client, acme: Organization, manage: Callable[..., Process]
) -> None:
    """SIGKILL to a real worker in the middle; cancelled twice, a job would count as skipped."""
    many(acme, 60)
    request(operator, "batchjob", "cancel")
    quick = {"LEASE_SECONDS": "3", "LEASE_RENEW_SECONDS": "1", "SWEEP_SECONDS": "0.5"}

    def done() -> int:
        return int(WorkItem.objects.get().result.get("done", 0))

    first = manage("work", "--loop", "--lanes", "sync", "--slots", "1", env=quick)
    first.wait_for(lambda: done() >= 5, seconds=90)
    first.kill()
    left = done()
    assert left < 60, "it was done before it was killed: this proves nothing"
    assert WorkItem.objects.get().state == "running"
    manage("work", "--loop", "--lanes", "sync", "--slots", "1", env=quick)
    eventually(lambda: WorkItem.objects.get().state == "succeeded", seconds=120)
    assert WorkItem.objects.get().result == {"done": 60, "skipped": {}}
    assert AuditEntry.objects.filter(action="job.cancel").count() == 60
    assert AuditEntry.objects.filter(action="jobs.bulk").count() == 2
    assert set(BatchJob.objects.values_list("state", flat=True)) == {"cancelled"}
    check_books()
    assert not list(verify_all())
