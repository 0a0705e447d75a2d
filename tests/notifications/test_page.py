"""The page of notifications: what is shown to whom, marking, and the way to what it is about."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Membership, Organization, User
from apps.accounts.services import add_member, create_organization
from apps.jobs.models import BatchJob
from apps.notifications.models import Notification
from apps.notifications.services import mark
from tests.batches import owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.runs import read_next
from tests.notifications.telling import fill, tell
from tests.volume import analyze

pytestmark = pytest.mark.django_db

LIST = {"HX-Request": "true", "HX-Target": "list"}


def page(browser: Client, query: str = "") -> str:
    answer = browser.get(f"/notifications?{query}".rstrip("?"))
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def titles(html: str) -> list[str]:
    """Those that are listed, in order; a star marks what is unread."""
    rows = re.findall(r'<li id="told-[^>]*>.*?</li>', html, re.DOTALL)
    found = []
    for row in rows:
        title = re.search(r'class="title"[^>]*>(.*?)</(?:a|span)>', row, re.DOTALL)
        assert title
        plain = unescape(re.sub(r"<[^>]+>", "", title[1]))
        found.append(("* " if "data-unread" in row.partition(">")[0] else "") + plain)
    return found


def link(html: str, name: str) -> str:
    found = re.search(rf'<a [^>]*id="{name}"[^>]*href="([^"]*)"', html)
    assert found, name
    return unescape(found[1])


@pytest.fixture(autouse=True)
def _nothing_told_before(alice: User) -> None:
    Notification.objects.all().delete()


def test_who_was_told_nothing_reads_what_they_would_be_told(alice_web: Client) -> None:
    html = page(alice_web)
    assert "Nothing to tell yet" in html
    assert 'id="read-all"' not in html
    assert "<title>Notifications - Docmill</title>" in html
    assert 'aria-current="page" title="Notifications"' in html


def test_the_newest_is_first_and_what_is_unread_stands_out(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    tell(alice, acme, 1)
    mark(Notification.objects.all(), read=True)
    tell(alice, acme, 2)
    html = page(alice_web)
    assert titles(html) == ["* Message 2", "Message 1"]
    assert "<title>(1) Notifications - Docmill</title>" in html
    assert titles(page(alice_web, "show=unread")) == ["* Message 2"]


def test_kinds_are_told_apart(alice_web: Client, acme: Organization, alice: User) -> None:
    submit(acme, "one")
    read_next()
    tell(alice, acme)
    assert titles(page(alice_web, "kind=job_finished")) == ["* 1.txt: finished"]
    assert titles(page(alice_web, "kind=message")) == ["* Message 1"]
    assert "Nothing of this kind" in page(alice_web, "kind=queue_paused")
    assert len(titles(page(alice_web, "kind=nonsense&show=nonsense"))) == 2
    mark(Notification.objects.all(), read=True)
    assert "Everything is read" in page(alice_web, "show=unread")


def test_words_of_others_are_no_markup(alice_web: Client, acme: Organization, alice: User) -> None:
    tell(alice, acme, facts={"title": "<b>Bold</b>", "text": "<script>x()</script>\nNext line"})
    html = page(alice_web)
    assert titles(html) == ["* <b>Bold</b>"]
    assert "<b>Bold" not in html
    assert "&lt;script&gt;x()&lt;/script&gt;<br>Next line" in html


def test_a_kind_of_a_newer_version_breaks_nothing(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    tell(alice, acme)
    Notification.objects.update(kind="from_the_future")
    assert titles(page(alice_web)) == ["* Something that a newer version tells"]


def test_each_sees_their_own(
    acme: Organization, alice: User, bob: User, charlie: User, client_for: ClientFor
) -> None:
    Notification.objects.all().delete()
    tell(bob, acme)
    assert titles(page(client_for(bob))) == ["* Message 1"]
    for stranger in (alice, charlie):
        assert titles(page(client_for(stranger))) == []


def test_who_leaves_an_organization_sees_no_more_of_it(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    tell(alice, acme)
    Membership.objects.filter(user=alice, organization=acme).delete()
    html = page(alice_web)
    assert titles(html) == []
    assert 'data-label=""' in html


# --- opening ------------------------------------------------------------------------------------


def test_opening_marks_as_read_and_leads_to_the_job(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    job = submit(acme, "one")
    read_next()
    row = Notification.objects.get()
    assert f'href="/notifications/{row.pk}"' in page(alice_web)
    assert alice_web.head(f"/notifications/{row.pk}").status_code == 302
    assert Notification.objects.get().read_at is None
    answer = alice_web.get(f"/notifications/{row.pk}")
    assert (answer.status_code, answer["Location"]) == (302, f"/jobs/{job.pk}")
    first = Notification.objects.get().read_at
    assert first is not None
    assert alice_web.get(answer["Location"]).status_code == 200
    alice_web.get(f"/notifications/{row.pk}")
    assert Notification.objects.get().read_at == first


def test_what_is_of_another_organization_is_opened_there(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    second = create_organization(name="Second", owner=alice)
    job = submit(second, "one")
    read_next()
    row = Notification.objects.get(organization=second)
    html = page(alice_web)
    assert "<bdi>Second</bdi>" in html
    assert alice_web.get(f"/jobs/{job.pk}").status_code == 404
    answer = alice_web.get(f"/notifications/{row.pk}", follow=True)
    assert answer.status_code == 200
    assert "You now work in Second." in answer.content.decode()
    assert answer.request["PATH_INFO"] == f"/jobs/{job.pk}"


def test_what_leads_nowhere_comes_back_to_the_list(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    row = tell(alice, acme)
    assert f'href="/notifications/{row.pk}"' not in page(alice_web)
    assert alice_web.get(f"/notifications/{row.pk}")["Location"] == "/notifications"
    assert Notification.objects.get().read_at is not None


# --- marking ------------------------------------------------------------------------------------


def test_one_is_marked_and_the_list_stays_where_it_was(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    row = tell(alice, acme)
    path = f"/notifications/{row.pk}/read?kind=message"
    assert f'action="{path}"' in page(alice_web, "kind=message")
    answer = alice_web.post(path)
    assert (answer.status_code, answer["Location"]) == (302, "/notifications?kind=message")
    assert titles(page(alice_web)) == ["Message 1"]
    alice_web.post(path, {"unread": "1"})
    assert titles(page(alice_web)) == ["* Message 1"]


def test_marking_on_an_open_page_answers_the_list_and_the_bell(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    tell(alice, acme, 1)
    row = tell(alice, acme, 2)
    answer = alice_web.post(f"/notifications/{row.pk}/read?show=unread", headers=LIST)
    html = answer.content.decode()
    assert html.startswith('<div id="list"')
    assert titles(html) == ["* Message 1"]
    assert 'data-label="1"' in html
    assert 'hx-swap-oob="true"' in html
    assert "Marked as read." in html
    assert answer["HX-Replace-Url"] == "/notifications?show=unread"


def test_all_of_a_kind_are_marked_but_for_what_came_meanwhile(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    submit(acme, "one")
    read_next()
    tell(alice, acme, 1)
    found = re.search(r'name="until" value="([^"]+)"', page(alice_web, "kind=message"))
    assert found
    tell(alice, acme, 2)
    alice_web.post("/notifications/read?kind=message", {"until": unescape(found[1])})
    assert titles(page(alice_web)) == ["* Message 2", "Message 1", "* 1.txt: finished"]
    alice_web.post("/notifications/read")
    assert titles(page(alice_web)) == ["Message 2", "Message 1", "1.txt: finished"]
    assert "Everything was read before." in (
        alice_web.post("/notifications/read", follow=True).content.decode()
    )


def test_nobody_marks_what_is_anothers(
    acme: Organization, alice: User, bob: User, client_for: ClientFor
) -> None:
    row = tell(alice, acme)
    browser = client_for(bob)
    assert browser.post(f"/notifications/{row.pk}/read").status_code == 404
    assert browser.get(f"/notifications/{row.pk}").status_code == 404
    browser.post("/notifications/read")
    assert Notification.objects.get(user=alice).read_at is None


# --- pages, news, cost --------------------------------------------------------------------------


def test_pages_hold_on_to_their_place(alice_web: Client, acme: Organization, alice: User) -> None:
    for number in range(1, 66):
        tell(alice, acme, number)
    first = page(alice_web)
    assert titles(first)[:2] == ["* Message 65", "* Message 64"]
    tell(alice, acme, 66)
    second = alice_web.get(link(first, "older")).content.decode()
    assert titles(second) == [f"* Message {number}" for number in range(35, 5, -1)]
    third = alice_web.get(link(second, "older")).content.decode()
    assert titles(third) == [f"* Message {number}" for number in range(5, 0, -1)]
    assert titles(alice_web.get(link(third, "newer")).content.decode()) == titles(second)
    answer = alice_web.get("/notifications?cursor=nonsense", follow=True)
    assert "That page of the list is not there" in answer.content.decode()


def test_an_open_page_gets_its_list_alone(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    tell(alice, acme)
    html = page(alice_web)
    assert 'hx-get="/notifications" hx-trigger="notified from:body"' in html
    answer = alice_web.get("/notifications", headers=LIST)
    assert answer.content.decode().startswith('<div id="list"')
    assert 'id="said"' not in answer.content.decode()


def test_the_number_of_queries_does_not_grow(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page(alice_web)
        return len(seen)

    tell(alice, acme)
    of_one = queries()
    fill(alice, acme, 500)
    # Session, user, membership, the list, the bell, the menu of organizations.
    assert queries() == of_one == 6


def test_lists_are_read_from_their_index(acme: Organization, alice: User, charlie: User) -> None:
    other = Organization.objects.filter(name="Other").get()
    fill(alice, acme, 3000)
    fill(charlie, other, 3000)
    mark(Notification.objects.filter(key__endswith="7"), read=True)
    analyze()
    shown = Notification.objects.shown_to(owner_of(acme)).order_by("-told_at", "-id")
    for asked, index in (
        (shown, "notification_list"),
        (shown.filter(kind="message"), "notification_list"),
        (shown.unread(), "notification_unread"),
    ):
        plan = asked[:31].explain()
        assert index in plan, plan
        assert not re.search("ORDER BY|Sort Key: .*told_at", plan), plan


def test_off_means_off(
    alice_web: Client, acme: Organization, alice: User, settings: object
) -> None:
    row = tell(alice, acme)
    settings.ENABLE_NOTIFICATIONS = False  # type: ignore[attr-defined]
    for verb, path in (
        ("GET", "/notifications"),
        ("GET", "/notifications/badge"),
        ("GET", f"/notifications/{row.pk}"),
        ("POST", f"/notifications/{row.pk}/read"),
        ("POST", "/notifications/read"),
    ):
        answer = alice_web.generic(verb, path)
        assert answer.status_code == 503, path
        assert "Notifications are switched off here" in answer.content.decode()
        assert "Wait a moment" not in answer.content.decode()
    assert Notification.objects.get().read_at is None
    home = alice_web.get("/").content.decode()
    assert "badge" not in home
    assert "/notifications" not in home
    submit(acme, "one")
    read_next()
    assert BatchJob.objects.get().state == "succeeded"
    assert Notification.objects.count() == 1
    add_member(organization=acme, user=User.objects.create(email="d@example.com"), role="reader")
    assert Notification.objects.count() == 1
