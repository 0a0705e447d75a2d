"""Bulk actions in the admin: the preview, who may, and the page of the work."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Organization, User
from apps.core.admin import url_of
from apps.core.ids import uuid7
from apps.jobs import bulk
from apps.jobs.models import BatchJob, BulkTarget
from apps.queue.models import WorkItem
from apps.queue.work_items import submit_work
from tests.batches import submit
from tests.jobs.bulk_requests import fields_of, many, organizations, request, work
from tests.jobs.runs import fail_next
from tests.operators import list_of, staff, superuser, told
from tests.queue.conftest import _fresh_process_state

__all__ = ["_fresh_process_state"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


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


def test_a_preview_shows_nothing_that_its_list_does_not(acme: Organization) -> None:
    """Files are acted on by who may change jobs, which is no leave to see the files."""
    submit(acme, "one")
    client = staff("change_batchjob")
    url = f"{list_of('batchfile')}bulk/cancel/"
    form = {"key": str(uuid7()), "up_to": str(uuid7()), "shown": "1"}
    assert client.get(url).status_code == client.post(url, form).status_code == 403
    assert not WorkItem.objects.exists()
    User.objects.get(email="staff@example.com").user_permissions.add(
        Permission.objects.get(codename="view_batchfile")
    )
    assert client.get(url).status_code == 200


def test_the_list_of_work_names_nobody_whose_work_it_does_not_show(alice: User) -> None:
    client, works = staff(), reverse("admin:queue_workitem_changelist")
    query = {"requested_by__id__exact": str(alice.pk)}
    assert "alice@example.com" not in client.get(works, query).content.decode()
    submit_work(by=alice, kind="jobs.bulk", title="Hers", payload={})
    assert "alice@example.com" not in client.get(works, query).content.decode()
    assert "alice@example.com" in superuser().get(works, query).content.decode()


@pytest.mark.parametrize("is_staff_still", [True, False])
def test_who_lost_the_permission_meanwhile_is_not_obeyed(
    acme: Organization, is_staff_still: bool
) -> None:
    submit(acme, "one")
    client = staff("change_batchjob")
    answer = request(client, "batchjob", "cancel")
    assert answer.status_code == 200, "who asked for it sees how far it is"
    user = User.objects.get(email="staff@example.com")
    if is_staff_still:
        user.user_permissions.clear()
    User.objects.filter(pk=user.pk).update(is_staff=is_staff_still)
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


def test_what_is_of_smaller_organizations_is_not_left_out(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "TOP_SHOWN", 1)
    for branch, count in zip(organizations(3), (1, 3, 1), strict=True):
        many(branch, count)
    html = operator.get(f"{list_of('batchjob')}bulk/keep/").content.decode()
    assert "<dd>3 of Branch 1, 2 of others</dd>" in html


def test_what_strangers_typed_is_text_in_a_preview_and_of_its_work(
    operator: Client, acme: Organization
) -> None:
    Organization.objects.update(name="<b>Acme</b>")
    submit(acme, "one")
    BatchJob.objects.update(name="<b>May</b>")
    query = "?q=%3Cb%3EMay"
    shown = operator.get(f"{list_of('batchjob')}bulk/keep/{query}").content.decode()
    page = request(operator, "batchjob", "keep", query, reason="<b>Why</b>").content.decode()
    assert "1 of &lt;b&gt;Acme&lt;/b&gt;" in shown
    assert "<dd>search &lt;b&gt;May</dd>" in shown
    assert "&lt;b&gt;Why&lt;/b&gt;" in page
    assert "<dt>q</dt><dd>&lt;b&gt;May</dd>" in page
    for html in (shown, page):
        for raw in ("<b>Acme", "<b>May", "<b>Why"):
            assert raw not in html


def test_a_confirmation_that_is_not_valid_is_told_of(operator: Client, acme: Organization) -> None:
    submit(acme, "one")
    url = f"{list_of('batchjob')}bulk/cancel/"
    form = fields_of(operator.get(url))
    answer = operator.post(url, form | {"reason": "x" * 201})
    [message] = told(answer)
    assert message.startswith("Nothing was done. Ensure this value has at most 200 characters")
    assert "Cancel: 1 batch job" in answer.content.decode()
    assert not WorkItem.objects.exists()


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
