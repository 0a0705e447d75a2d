"""`manage.py notify`, what becomes too old, and what operators see."""

import json
import re
import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Organization, User
from apps.audit.models import AuditEntry
from apps.notifications import announcing
from apps.notifications.cleanup import NOBODYS, forget_old, made_lately, too_old
from apps.notifications.models import Notification
from apps.notifications.preferences import Choice, Mail
from apps.notifications.services import set_choices
from apps.queue.inspection import id_ranges
from tests.notifications.telling import fill, tell, told
from tests.operators import staff, superuser
from tests.volume import analyze

pytestmark = pytest.mark.django_db

LIST = "/admin/notifications/notification/"


def notify(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("notify", *arguments, "--json", "--yes", stdout=out, stderr=StringIO())
    [row] = json.loads(out.getvalue())["messages"]
    return dict(row)


@pytest.fixture(autouse=True)
def _nothing_told_before(alice: User, bob: User, charlie: User) -> None:
    Notification.objects.all().delete()


def test_one_person_is_told(alice: User, bob: User) -> None:
    row = notify(
        "--user", "Alice@example.com", "--title", " Your  scans ", "--text", "On the\nshelf."
    )
    assert (row["people"], row["told"], row["done"]) == (1, 1, True)
    assert told(alice) == ["* Your scans"]
    assert told(bob) == []
    found = Notification.objects.get()
    assert found.told.text == "On the\nshelf."
    assert found.organization.personal_of == alice
    entry = AuditEntry.objects.get(action="message.send")
    assert json.loads(entry.detail)["told"] == 1


def test_the_members_of_an_organization_are_told(
    acme: Organization, alice: User, bob: User, charlie: User
) -> None:
    assert notify("--organization", str(acme.pk), "--title", "New retention")["told"] == 2
    assert [told(user) for user in (alice, bob, charlie)] == [["* New retention"]] * 2 + [[]]
    assert set(Notification.objects.values_list("organization", flat=True)) == {acme.pk}


def test_everybody_is_told_once_however_many_organizations_they_are_in(
    alice: User, bob: User, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "TOGETHER", 2)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    assert notify("--all", "--title", "We move")["told"] == 2
    assert [told(user) for user in (alice, bob, charlie)] == [["* We move"]] * 2 + [[]]


def test_the_same_key_tells_nobody_twice_and_a_new_text_takes_the_place(
    alice: User, bob: User, charlie: User
) -> None:
    arguments = ("--all", "--key", "move")
    assert notify(*arguments, "--title", "We move")["told"] == 3
    Notification.objects.update(read_at=timezone.now())
    assert notify(*arguments, "--title", "We move")["told"] == 0
    assert told(alice) == ["We move"]
    Notification.objects.filter(user=bob).delete()  # as if it had been interrupted
    assert notify(*arguments, "--title", "We move")["told"] == 1
    assert notify(*arguments, "--title", "We have moved")["told"] == 3
    assert told(alice) == ["* We have moved"]


def test_who_wants_it_mailed_has_it_mailed_and_who_wants_nothing_has_nothing(
    alice: User, bob: User
) -> None:
    set_choices(user=alice, choices={"message": Choice(mail=Mail.AT_ONCE)})
    set_choices(user=bob, choices={"message": Choice(in_app=False)})
    notify("--all", "--title", "We move")
    assert Notification.objects.get(user=alice).mail_due_at is not None
    assert told(bob) == []


def test_a_dry_run_tells_how_many_and_changes_nothing(alice: User) -> None:
    row = notify("--all", "--title", "We move", "--dry-run")
    assert (row["people"], row["told"], row["done"]) == (3, 0, False)
    assert not Notification.objects.exists()
    assert not AuditEntry.objects.filter(action="message.send").exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--user", "nobody@example.com"), "There is no user"),
        (("--organization", "acme"), "There is no organization"),
        (("--organization", "01920000-0000-7000-8000-000000000000"), "There is no organization"),
        (("--all", "--by", "nobody@example.com"), "There is no user"),
        (("--all", "--title", " \n "), "title takes 1 to 200"),
        (("--all", "--title", "x" * 201), "this has 201"),
        (("--all", "--text", "x" * 2001), "text takes"),
        (("--all", "--key", "x" * 61), "key takes"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    arguments: tuple[str, ...], why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        notify("--title", "We move", *arguments)
    assert not Notification.objects.exists()


@pytest.mark.once
def test_nobody_is_told_without_being_asked_for(settings: Any) -> None:
    with pytest.raises(CommandError, match="Nobody can be asked here"):
        call_command("notify", "--all", "--title", "We move", stdout=StringIO(), stderr=StringIO())
    settings.ENABLE_NOTIFICATIONS = False
    with pytest.raises(CommandError, match="switched them off"):
        notify("--all", "--title", "We move")
    assert not Notification.objects.exists()


def test_many_people_take_few_queries(alice: User) -> None:
    with CaptureQueriesContext(connection) as of_few:
        notify("--all", "--title", "First")
    users = User.objects.bulk_create(User(email=f"{n}@example.com") for n in range(300))
    own = Organization.objects.bulk_create(
        Organization(name=user.email, personal_of=user) for user in users
    )
    Membership.objects.bulk_create(
        Membership(user=user, organization=each, role="owner")
        for user, each in zip(users, own, strict=True)
    )
    with CaptureQueriesContext(connection) as of_many:
        assert notify("--all", "--title", "Second")["told"] == 303
    assert len(of_many) <= len(of_few) + 2


# --- what is too old ----------------------------------------------------------------------------


def test_what_is_too_old_goes_read_or_not(
    acme: Organization, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.notifications.cleanup.CHUNK", 7)
    then = timezone.now() - timedelta(days=91)
    for number in range(20):
        row = tell(alice, acme, number)
        old = uuid.UUID(int=(int(then.timestamp() * 1000) << 80) + number)
        Notification.objects.filter(pk=row.pk).update(id=old, told_at=then)
    Notification.objects.filter(key="message:0").update(told_at=timezone.now())  # anew since
    fill(alice, acme, 3000, read=True)
    analyze()
    assert not re.search("Seq Scan|SCAN", too_old()[:7].explain())
    settings.NOTIFICATION_RETENTION_DAYS = 92
    assert forget_old() == 0
    settings.NOTIFICATION_RETENTION_DAYS = 90
    assert forget_old() == 19
    assert Notification.objects.filter(key__startswith="message:").count() == 1
    assert Notification.objects.count() == 3001
    assert forget_old() == 0


def test_what_is_nobodys_goes(acme: Organization, alice: User) -> None:
    row = tell(alice, acme)
    Notification.objects.filter(pk=row.pk).update(user_id=10**6)
    tell(alice, acme, 2)
    assert forget_old() == 1
    assert told(alice) == ["* Message 2"]


def test_what_is_nobodys_is_looked_for_in_portions(
    acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(alice, acme, 3000, read=True)
    for number in range(25):
        row = tell(alice, acme, number)
        Notification.objects.filter(pk=row.pk).update(user_id=10**6 + number)
    analyze()
    portion = next(id_ranges(made_lately(), 7))
    plan = made_lately().filter(portion).filter(NOBODYS).explain()
    assert not re.search(r"Seq Scan on notif|SCAN notif", plan), plan
    monkeypatch.setattr("apps.notifications.cleanup.CHUNK", 7)
    assert forget_old() == 25
    assert Notification.objects.count() == 3000


# --- the admin ----------------------------------------------------------------------------------


def test_operators_see_what_was_told_and_change_nothing(acme: Organization, alice: User) -> None:
    browser = superuser()
    row = tell(alice, acme)
    tell(alice, acme, 2)
    Notification.objects.filter(pk=row.pk).update(mail=row.pk)
    html = browser.get(LIST).content.decode()
    assert "Message 1" in html
    assert "alice@example.com" in html
    assert "Message 2" not in browser.get(f"{LIST}?q={row.pk}").content.decode()
    assert "Message 1" in browser.get(f"{LIST}?q=alice@example.com").content.decode()
    assert "Message 1" not in browser.get(f"{LIST}?kind=job_finished").content.decode()
    one = browser.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "Read this." in one
    assert "queued" in one
    for path in (f"{LIST}add/", f"{LIST}{row.pk}/delete/"):
        assert browser.get(path).status_code == 403
    assert browser.post(f"{LIST}{row.pk}/change/", {"key": "x"}).status_code == 403
    assert staff().get(LIST).status_code == 403
    assert staff_who_view().get(LIST).status_code == 200


def staff_who_view() -> Any:
    User.objects.filter(email="staff@example.com").delete()
    return staff("view_notification")


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    acme: Organization, alice: User
) -> None:
    browser = superuser()
    counts = []
    for count in (1, 30):
        Notification.objects.all().delete()
        fill(alice, acme, count)
        with CaptureQueriesContext(connection) as seen:
            browser.get(LIST)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 8
