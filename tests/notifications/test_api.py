"""Notifications by API."""

from typing import Any
from uuid import uuid4

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.services import create_organization
from apps.notifications.models import Notification
from tests.batches import submit
from tests.conftest import ClientFor
from tests.jobs.runs import read_next
from tests.notifications.telling import fill, tell

pytestmark = pytest.mark.django_db

URL = "/api/notifications"


@pytest.fixture(autouse=True)
def _nothing_told_before(alice: User) -> None:
    Notification.objects.all().delete()


def listed(api: APIClient, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"{URL}?{query}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_a_notification_tells_what_happened_and_leads_to_it(
    alice_api: APIClient, acme: Organization
) -> None:
    job = submit(acme, "one")
    read_next()
    [told] = listed(alice_api)
    row = Notification.objects.get()
    here = f"http://testserver{URL}/{row.pk}"
    moment = told.pop("told_at"), told.pop("created_at")
    assert all(moment)
    assert told == {
        "id": str(row.pk),
        "kind": "job_finished",
        "title": "1.txt: finished",
        "subject": "1.txt",
        "what": "finished",
        "text": "1 of 1 file read.",
        "organization_id": str(acme.pk),
        "read_at": None,
        "url": here,
        "about_url": f"http://testserver/api/batch/jobs/{job.pk}",
        "page_url": f"http://testserver/notifications/{row.pk}",
    }
    assert alice_api.get(told["about_url"]).json()["id"] == str(job.pk)
    assert alice_api.get(here).json()["title"] == "1.txt: finished"
    assert Notification.objects.get().read_at is None, "reading by API leaves it unread"


def test_what_leads_nowhere_says_so(alice_api: APIClient, acme: Organization, alice: User) -> None:
    tell(alice, acme)
    assert listed(alice_api)[0]["about_url"] is None


def test_it_is_marked_as_read_and_unread(
    alice_api: APIClient, acme: Organization, alice: User
) -> None:
    row = tell(alice, acme)
    path = f"{URL}/{row.pk}"
    assert alice_api.patch(path, {"read": True}).json()["read_at"] is not None
    assert alice_api.patch(path, {"read": True}).status_code == 200
    assert Notification.objects.get().read_at is not None
    assert alice_api.patch(path, {"read": False}).json()["read_at"] is None
    assert Notification.objects.get().read_at is None


@pytest.mark.once
@pytest.mark.parametrize("body", [{}, {"read": "maybe"}, {"read": None}, {"seen": True}, ["read"]])
def test_what_cannot_be_understood_changes_nothing(
    alice_api: APIClient, acme: Organization, alice: User, body: Any
) -> None:
    row = tell(alice, acme)
    answer = alice_api.patch(f"{URL}/{row.pk}", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert Notification.objects.get().read_at is None


def test_lists_are_filtered(alice_api: APIClient, acme: Organization, alice: User) -> None:
    submit(acme, "one")
    read_next()
    row = tell(alice, acme)
    alice_api.patch(f"{URL}/{row.pk}", {"read": True})

    def kinds(query: str) -> list[str]:
        return [each["kind"] for each in listed(alice_api, query)]

    assert kinds("") == ["message", "job_finished"]
    assert kinds("unread=true") == ["job_finished"]
    assert kinds("unread=false") == ["message"]
    assert kinds("kind=message&kind=queue_paused") == ["message"]
    for bad in ("unread=yes", "kind=nonsense", "limit=0", "limit=101", "cursor=x", "state=read"):
        answer = alice_api.get(f"{URL}?{bad}")
        assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), bad


def test_pages_follow_one_another(alice_api: APIClient, acme: Organization, alice: User) -> None:
    for number in range(1, 8):
        tell(alice, acme, number)
    seen, url = [], f"{URL}?limit=3"
    while url:
        page = alice_api.get(url).json()
        seen += [each["title"] for each in page["results"]]
        url = page["next"]
    assert seen == [f"Message {number}" for number in range(7, 0, -1)]


def test_all_are_marked_but_for_later_and_other_ones(
    alice_api: APIClient, acme: Organization, alice: User, bob: User
) -> None:
    Notification.objects.all().delete()
    submit(acme, "one")
    read_next()
    tell(alice, acme, 1)
    until = timezone.now().isoformat()
    tell(alice, acme, 2)
    tell(bob, acme, 3)
    answer = alice_api.post(f"{URL}/read", {"until": until, "kind": "message"})
    assert answer.json() == {"marked": 1}
    unread = Notification.objects.unread()
    assert {row.told.title for row in unread} == {"1.txt: finished", "Message 2", "Message 3"}
    assert alice_api.post(f"{URL}/read").json() == {"marked": 2}
    assert [row.user_id for row in Notification.objects.unread()] == [bob.pk]
    for bad in ({"until": "soon"}, {"kind": "nonsense"}, {"before": until}):
        assert alice_api.post(f"{URL}/read", bad).status_code == 400


def test_the_count_stops_where_nobody_cares_and_is_304_while_it_is_the_same(
    alice_api: APIClient, acme: Organization, alice: User
) -> None:
    path = f"{URL}/unread"
    assert alice_api.get(path).json() == {"count": 0, "is_more": False, "newest_at": None}
    row = tell(alice, acme)
    answer = alice_api.get(path)
    told_at = row.told_at.isoformat().replace("+00:00", "Z")
    assert answer.json() == {"count": 1, "is_more": False, "newest_at": told_at}
    same = alice_api.get(path, headers={"If-None-Match": answer["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    fill(alice, acme, 150)
    answer = alice_api.get(path, headers={"If-None-Match": answer["ETag"]})
    assert (answer.json()["count"], answer.json()["is_more"]) == (100, True)


def test_a_key_reaches_what_is_of_its_organization(
    alice_api: APIClient, alice: User, acme: Organization, client_for: ClientFor
) -> None:
    second = create_organization(name="Second", owner=alice)
    Notification.objects.all().delete()
    tell(alice, acme, 1)
    elsewhere = tell(alice, second, 2)
    assert [each["title"] for each in listed(alice_api)] == ["Message 1"]
    assert alice_api.get(f"{URL}/{elsewhere.pk}").status_code == 404
    assert alice_api.patch(f"{URL}/{elsewhere.pk}", {"read": True}).status_code == 404
    assert alice_api.post(f"{URL}/read").json() == {"marked": 1}
    assert alice_api.get(f"{URL}/unread").json()["count"] == 0
    # In a browser they are read together.
    answer = client_for(alice).get(URL, headers={"Accept": "application/json"})
    assert len(answer.json()["results"]) == 2


def test_what_is_anothers_is_not_there(
    alice_api: APIClient, bob_api: APIClient, acme: Organization, alice: User
) -> None:
    row = tell(alice, acme)
    for pk in (row.pk, uuid4()):
        for answer in (bob_api.get(f"{URL}/{pk}"), bob_api.patch(f"{URL}/{pk}", {"read": True})):
            assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found")
    assert bob_api.post(f"{URL}/read").json()["marked"] <= 1  # that Bob was made a member
    assert Notification.objects.get(pk=row.pk).read_at is None


@pytest.mark.once
def test_pages_of_the_api_offer_to_mark(
    alice: User, acme: Organization, client_for: ClientFor
) -> None:
    row = tell(alice, acme)
    browser = client_for(alice)
    for path in (URL, f"{URL}/{row.pk}", f"{URL}/unread"):
        answer = browser.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200, path
    html = browser.get(f"{URL}/{row.pk}", headers={"Accept": "text/html"}).content.decode()
    assert f"{URL}/{row.pk} " not in html.partition("curl -X PATCH")[0][-1:]
    assert 'data-send="PATCH"' in html
    form = encode_multipart(BOUNDARY, {"read": "true"})  # as static/web/api.js sends it
    sent = browser.patch(f"{URL}/{row.pk}", form, content_type=MULTIPART_CONTENT)
    assert sent.status_code == 200
    assert Notification.objects.get(pk=row.pk).read_at is not None


@pytest.mark.once
def test_off_means_off(
    alice_api: APIClient, acme: Organization, alice: User, settings: object
) -> None:
    row = tell(alice, acme)
    settings.ENABLE_NOTIFICATIONS = False  # type: ignore[attr-defined]
    for verb, path in (
        ("GET", URL),
        ("GET", f"{URL}/unread"),
        ("GET", f"{URL}/{row.pk}"),
        ("PATCH", f"{URL}/{row.pk}"),
        ("POST", f"{URL}/read"),
    ):
        answer = alice_api.generic(verb, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "notifications.disabled"), path
    assert APIClient().get(URL).status_code == 401, "who may not ask is not told"
