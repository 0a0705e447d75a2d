"""The bell: right at first paint, cheap to ask again, and as dear for ten thousand as for one."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Membership, Organization, User
from apps.notifications.badge import Badge
from apps.notifications.models import MANY, Notification
from apps.notifications.services import mark
from tests.batches import owner_of
from tests.conftest import ClientFor
from tests.notifications.telling import fill, tell
from tests.volume import analyze

pytestmark = pytest.mark.django_db

BADGE = "/notifications/badge"
QUIETLY = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _nothing_told_before(alice: User) -> None:
    Notification.objects.all().delete()


def shown(html: str) -> tuple[str, str]:
    """What the bubble says, and its etag."""
    found = re.search(
        r'<span id="badge" class="badge" data-label="(.*?)" data-newest="[\d.]+"'
        r' data-etag="&quot;(.*?)&quot;">(.*?)</span>\s*(</a>|$)',
        html,
    )
    assert found, html
    assert bool(found[1]) == bool(found[3])
    return found[1], f'"{found[2]}"'


@pytest.mark.parametrize(
    ("count", "label"), [(0, ""), (1, "1"), (99, "99"), (100, "99+"), (101, "99+")]
)
def test_the_bubble_has_room_for_two_figures(
    alice_web: Client, acme: Organization, alice: User, count: int, label: str
) -> None:
    fill(alice, acme, count)
    fill(alice, acme, 3, read=True)
    home = alice_web.get("/").content.decode()
    assert shown(home)[0] == label
    title = f"({label}) Dashboard - Docmill" if label else "Dashboard - Docmill"
    assert f"<title>{title}</title>" in home
    answer = alice_web.get(BADGE, headers=QUIETLY)
    assert shown(answer.content.decode()) == shown(home)
    assert answer["ETag"] == shown(home)[1]
    assert answer["Cache-Control"] == "private, no-cache"
    if label:
        assert f", {label} unread</span>" in home


def test_an_unchanged_bell_is_304_without_a_body_and_one_read(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    tell(alice, acme)
    etag = shown(alice_web.get("/").content.decode())[1]
    alice_web.get(BADGE)
    with CaptureQueriesContext(connection) as seen:
        answer = alice_web.get(BADGE, headers=QUIETLY | {"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)
    tables = [re.findall(r'FROM "(\w+)"', each["sql"])[0] for each in seen.captured_queries[:3]]
    assert tables == ["django_session", "accounts_user", "accounts_membership"]
    assert len(seen) == 4, "who asks, and one read of notifications"
    assert "notifications_notification" in seen.captured_queries[3]["sql"]


def test_whatever_changes_the_bell_changes_its_etag(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    seen = [alice_web.get(BADGE)["ETag"]]
    first = tell(alice, acme, 1)
    seen.append(alice_web.get(BADGE)["ETag"])
    tell(alice, acme, 2)
    seen.append(alice_web.get(BADGE)["ETag"])
    alice_web.post(f"/notifications/{first.pk}/read")
    seen.append(alice_web.get(BADGE)["ETag"])
    tell(
        alice, acme, 1, facts={"title": "Anew", "text": ""}
    )  # and the bubble shows as many as before
    seen.append(alice_web.get(BADGE)["ETag"])
    Membership.objects.filter(user=alice, organization=acme).delete()
    seen.append(alice_web.get(BADGE)["ETag"])
    assert len(set(seen)) == 5
    assert seen[0] == seen[-1]


def test_ten_thousand_cost_what_one_costs(acme: Organization, alice: User, charlie: User) -> None:
    fill(charlie, Organization.objects.get(name="Other"), 2000)
    fill(alice, acme, 2000, read=True)
    fill(alice, acme, 10_000)
    analyze()
    actor = owner_of(acme)
    with CaptureQueriesContext(connection) as seen:
        badge = Badge.of(actor)
    assert (badge.count, badge.label) == (MANY, "99+")
    [query] = seen.captured_queries
    plan = plan_of(query["sql"])
    assert "notification_unread" in plan, plan
    assert not re.search(r"Seq Scan on notifications|SCAN notifications", plan), plan
    if connection.vendor == "postgresql":
        # A hundred entries of the index, whatever there is behind them.
        assert max(map(int, re.findall(r"rows=(\d+)(?:\.\d+)? loops", plan))) <= MANY, plan
    else:
        assert "TEMP B-TREE" not in plan, plan


def plan_of(sql: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN ANALYZE"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def test_reading_drops_the_count_at_once(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    fill(alice, acme, 3)
    mark(Notification.objects.filter(key__endswith="01"), read=True)
    assert shown(alice_web.get("/").content.decode())[0] == "2"
    alice_web.post("/notifications/read")
    assert shown(alice_web.get("/").content.decode())[0] == ""


@pytest.mark.once
def test_who_is_signed_out_gets_no_page_for_a_bubble() -> None:
    answer = Client().get(BADGE, headers=QUIETLY)
    assert (answer.status_code, answer.content) == (401, b"Signed out")


@pytest.mark.once
def test_a_bell_of_another_organizations_page_is_answered_too(
    alice_web: Client, acme: Organization, alice: User
) -> None:
    """Whoever switched in another tab must not have a half-filled form drawn anew."""
    tell(alice, acme)
    answer = alice_web.get(BADGE, headers=QUIETLY)
    assert "HX-Refresh" not in answer
    assert shown(answer.content.decode())[0] == "1"


@pytest.mark.once
def test_the_bell_counts_for_the_open_page_alone(
    alice: User, acme: Organization, client_for: ClientFor, settings: object
) -> None:
    settings.LIMIT_LIVE, settings.LIMIT_API = "2/min", "1/min"  # type: ignore[attr-defined]
    browser = client_for(alice)
    assert [browser.get(BADGE).status_code for _ in range(3)] == [200, 200, 429]
    refused = browser.get(BADGE, headers=QUIETLY)
    assert int(refused["Retry-After"]) > 0
    assert browser.get("/notifications").status_code == 200


@pytest.mark.once
def test_the_frame_says_how_the_bell_is_kept_right(alice_web: Client) -> None:
    for sidebar in ("expanded", "collapsed"):
        alice_web.cookies["sidebar"] = sidebar
        home = alice_web.get("/").content.decode()
        assert f'data-sidebar="{sidebar}"' in home
        assert 'data-badge-url="/notifications/badge"' in home
        assert "web/badge.js" in home
        assert 'id="said" class="visually-hidden" role="status"' in home
