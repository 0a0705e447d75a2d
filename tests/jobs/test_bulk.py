"""One act on everything that matches: what it takes, what it leaves, and that it adds up."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Organization, User
from apps.accounts.services import create_organization, create_user
from apps.audit.models import AuditEntry
from apps.audit.services import verify_all
from apps.core.admin import url_of
from apps.core.ids import uuid7
from apps.jobs import bulk
from apps.jobs.models import BatchFile, BatchJob, BulkTarget
from apps.jobs.services import delete_job, pause_job, retry_job
from apps.queue import lease, sweep, worker
from apps.queue.models import WorkItem, in_seconds
from apps.queue.pauses import pause
from apps.queue.work_items import retry_work
from tests.batches import check_books, owner_of, submit
from tests.jobs.runs import fail_next, read_next
from tests.operators import list_of, staff, superuser, told
from tests.processes import Process, eventually
from tests.queue.conftest import _fresh_process_state

__all__ = ["_fresh_process_state"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("bulk")]


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def organizations(count: int) -> list[Organization]:
    owner = create_user(email="owner@example.com", password=None)
    return [create_organization(name=f"Branch {n}", owner=owner) for n in range(count)]


def fields_of(answer: Any) -> dict[str, str]:
    """The hidden fields of a preview."""
    html = answer.content.decode()
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))


def request(client: Client, of: str, operation: str, query: str = "", **more: str) -> Any:
    """Looks at the preview and confirms it; where that leads."""
    url = f"{list_of(of)}bulk/{operation}/{query}"
    form = fields_of(client.get(url)) | more
    return client.post(url, form, follow=True)


def work() -> WorkItem:
    """Runs what waits in the lane; the newest work."""
    worker.work_off("sync")
    return WorkItem.objects.latest("pk")


def many(organization: Organization, count: int, **changed: object) -> list[BatchJob]:
    """Jobs of one waiting file each; all but the first are copies, which are quick to make. None
    waits for another."""
    first = submit(organization, "text")
    BatchFile.objects.filter(job=first).update(work_key="")
    file = BatchFile.objects.get(job=first)
    jobs = [first]
    for _ in range(count - 1):
        jobs.append(BatchJob.objects.get(pk=first.pk))
        jobs[-1].pk = uuid7()
    BatchJob.objects.bulk_create(jobs[1:])
    files = []
    for job in jobs[1:]:
        files.append(BatchFile.objects.get(pk=file.pk))
        files[-1].pk, files[-1].job = uuid7(), job
    BatchFile.objects.bulk_create(files)
    BatchJob.objects.filter(pk__in=[job.pk for job in jobs]).update(**changed)
    return jobs


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


def test_what_the_preview_shows_is_what_is_done(operator: Client, acme: Organization) -> None:
    """State, search and organization together: list, preview, confirmation and run agree."""
    many(acme, 3, name="Invoices May")
    many(acme, 2, name="Letters")
    query = "?state=queued&q=Invoices&organization=Acme"
    listed = operator.get(f"{list_of('batchjob')}{query}").context["cl"].result_list
    shown = operator.get(f"{list_of('batchjob')}bulk/prioritize-high/{query}")
    assert set(shown.context["preview"].first) == set(listed)
    assert shown.context["preview"].states == [("queued", 3)]
    assert "Priority high: 3 batch jobs" in shown.content.decode()
    assert "state queued, search Invoices, organization Acme" in shown.content.decode()
    assert BatchJob.objects.filter(priority=0).count() == 0, "a look changes nothing"
    request(operator, "batchjob", "prioritize-high", query)
    assert work().result["done"] == 3
    assert set(BatchJob.objects.filter(priority=0).values_list("name", flat=True)) == {
        "Invoices May"
    }


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


def test_a_service_has_the_last_word(operator: Client, acme: Organization) -> None:
    ended, waits = submit(acme, "one"), submit(acme, "two")
    read_next()
    request(operator, "batchjob", "cancel")
    assert work().result == {"done": 1, "skipped": {"There is nothing left to cancel.": 1}}
    states = dict(BatchJob.objects.values_list("pk", "state"))
    assert states == {ended.pk: "succeeded", waits.pk: "cancelled"}


def test_nothing_newer_than_the_preview_is_taken(operator: Client, acme: Organization) -> None:
    old = submit(acme, "one")
    url = f"{list_of('batchjob')}bulk/cancel/"
    form = fields_of(operator.get(url))
    new = submit(acme, "two")
    operator.post(url, form)
    work()
    states = dict(BatchJob.objects.values_list("pk", "state"))
    assert states == {old.pk: "cancelled", new.pk: "queued"}


def test_more_than_were_shown_are_not_taken_without_asking(
    operator: Client, acme: Organization
) -> None:
    for text in ("one", "two"):
        submit(acme, text)
    fail_next()
    url = f"{list_of('batchjob')}bulk/delete/?state=failed"
    form = fields_of(operator.get(url)) | {"up_to": str(uuid7())}
    fail_next()
    answer = operator.post(url, form)
    assert told(answer) == ["2 match by now, more than the 1 that were shown."]
    assert "Delete: 2 batch jobs" in answer.content.decode()
    assert not WorkItem.objects.exists()
    assert not BulkTarget.objects.exists()


def test_a_second_press_leads_to_the_same_work(operator: Client, acme: Organization) -> None:
    submit(acme, "one")
    url = f"{list_of('batchjob')}bulk/cancel/"
    form = fields_of(operator.get(url))
    first, second = (operator.post(url, form)["Location"] for _ in range(2))
    work()
    third = operator.post(url, form)["Location"]
    assert first == second == third
    assert WorkItem.objects.count() == 1


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


@pytest.mark.parametrize("permissions", [("view_batchjob",), ("change_batchjob",)])
def test_who_may_not_is_not_let(acme: Organization, permissions: tuple[str, ...]) -> None:
    submit(acme, "one")
    fail_next()
    client = staff(*permissions)
    page = client.get(list_of("batchjob")).content.decode()
    assert ("/bulk/cancel/" in page) == (permissions == ("change_batchjob",))
    assert "/bulk/delete/" not in page
    url = f"{list_of('batchjob')}bulk/delete/"
    form = {"key": str(uuid7()), "up_to": str(uuid7()), "shown": "1"}
    assert client.get(url).status_code == client.post(url, form).status_code == 403
    assert not WorkItem.objects.exists()


def test_who_lost_the_permission_meanwhile_is_not_obeyed(acme: Organization) -> None:
    submit(acme, "one")
    client = staff("change_batchjob")
    answer = request(client, "batchjob", "cancel")
    assert answer.status_code == 200, "who asked for it sees how far it is"
    User.objects.get(email="staff@example.com").user_permissions.clear()
    item = work()
    assert (item.state, item.error_code) == ("failed", "bulk.not_allowed")
    assert BatchJob.objects.get().state == "queued"


def test_nobody_sees_or_stops_what_somebody_else_asked_for(acme: Organization) -> None:
    submit(acme, "one")
    item = bulk.request_bulk(
        by=User.objects.get(email="alice@example.com"),
        verb=bulk.VERBS["jobs"]["cancel"],
        matching=bulk.Matching.now("jobs", BatchJob.objects.all(), {}),
    )
    client = staff("change_batchjob")
    works = reverse("admin:queue_workitem_changelist")
    assert client.get(url_of(item))["Location"] == reverse("admin:index"), "there is no such work"
    client.get(works)  # that there is none is told here
    assert str(item.pk) not in client.get(works).content.decode()
    form = {"action": "cancel", "_selected_action": [str(item.pk)], "confirmed": "yes"}
    client.post(works, form, follow=True)
    item.refresh_from_db()
    assert item.state == "queued"
    User.objects.get(email="staff@example.com").user_permissions.add(
        Permission.objects.get(codename="view_workitem")
    )
    answer = client.post(works, form, follow=True)
    assert "You may look at it only" in told(answer)[0]


def test_a_filter_that_the_list_does_not_know_is_refused(
    operator: Client, acme: Organization
) -> None:
    submit(acme, "one")
    url = f"{list_of('batchjob')}bulk/cancel/?name__regex=x"
    assert operator.get(url)["Location"] == f"{list_of('batchjob')}?e=1"
    form = {"key": str(uuid7()), "up_to": str(uuid7()), "shown": "5"}
    assert operator.post(url, form)["Location"] == f"{list_of('batchjob')}?e=1"
    assert operator.get(f"{list_of('batchjob')}bulk/explode/").status_code == 404
    nothing = operator.get(f"{list_of('batchjob')}bulk/cancel/?state=failed").content.decode()
    assert "Nothing matches, so there is nothing to do." in nothing
    assert not WorkItem.objects.exists()


def test_its_page_says_how_far_it_is_and_loads_itself_again(
    operator: Client, acme: Organization
) -> None:
    submit(acme, "one")
    answer = request(operator, "batchjob", "cancel", reason="By mistake.")
    assert answer["Refresh"] == "3"
    assert "<button>Cancel</button>" in answer.content.decode()
    item = work()
    ended = operator.get(url_of(item))
    html = ended.content.decode()
    assert "Refresh" not in ended
    assert "By mistake." in html
    assert "<dt>done</dt><dd>1</dd>" in html
    assert "No. 1, run 1" in html
    assert "<button>" not in html.split('class="object-tools"')[-1].split("</ul>")[0]


def test_a_preview_takes_a_fixed_number_of_queries(operator: Client) -> None:
    branches = organizations(3)
    url = f"{list_of('batchjob')}bulk/cancel/?state=queued"
    counts = []
    for branch in branches:
        many(branch, 12)
        with CaptureQueriesContext(connection) as queries:
            operator.get(url)
        counts.append(len(queries))
    assert counts[0] == counts[-1] <= 14


def test_a_large_number_is_not_counted_to_its_end(
    operator: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "COUNT_LIMIT", 2)
    many(acme, 5)
    url = f"{list_of('batchjob')}bulk/keep/"
    shown = operator.get(url)
    assert "Keep: more than 2 batch jobs" in shown.content.decode()
    operator.post(url, fields_of(shown))
    assert work().result["done"] == 5


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
