"""What somebody wants to be told, and where: the page, the API, and what it leads to."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification, Preferences
from apps.notifications.preferences import Choice, Mail, choice_of
from apps.notifications.services import choices_of, set_choices
from tests.notifications.telling import tell

pytestmark = pytest.mark.django_db

PAGE = "/notifications/preferences"
API = "/api/notifications/preferences"
USUAL = {"in_app": True, "email": "never", "webhook": False}
heard: list[dict[str, Any]] = []


def hear(**facts: Any) -> None:
    """A listener of `notified`, as the webhooks have one."""
    heard.append(facts)


@pytest.fixture
def _webhooks(settings: Any) -> None:
    heard.clear()
    name = f"{__name__}.hear"
    settings.LISTENERS = settings.LISTENERS | {"notified": [name]}


def form(**changes: str | None) -> dict[str, str]:
    """What the page sends when nothing but `changes` was touched; None unticks a box."""
    usual = {f"in_app-{kind}": "on" for kind in KINDS} | {f"mail-{kind}": "never" for kind in KINDS}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def test_the_page_shows_and_keeps_what_was_chosen(alice_web: Client, alice: User) -> None:
    html = alice_web.get(PAGE).content.decode()
    assert all(kind.label in html and kind.about in html for kind in KINDS.values())
    assert html.count(" checked>") == len(KINDS)
    assert "alice@example.com" in html
    sent = form(**{"in_app-message": None, "mail-message": "daily", "mail-job_finished": "at_once"})
    assert alice_web.post(PAGE, sent)["Location"] == PAGE
    chosen = choices_of(alice)
    assert chosen["message"] == Choice(in_app=False, mail=Mail.DAILY)
    assert chosen["job_finished"] == Choice(mail=Mail.AT_ONCE)
    assert chosen["queue_paused"] == Choice()
    html = alice_web.get(PAGE).content.decode()
    assert html.count(" checked>") == len(KINDS) - 1
    assert html.count('<option value="daily" selected>') == 1


@pytest.mark.once
@pytest.mark.parametrize("mail", ["weekly", "", None])
def test_what_the_page_would_not_send_changes_nothing(
    alice_web: Client, alice: User, mail: str | None
) -> None:
    answer = alice_web.post(PAGE, form(**{"mail-message": mail, "in_app-job_finished": None}))
    assert answer.status_code == 400
    assert not Preferences.objects.filter(user=alice).exists()


def test_the_api_tells_and_changes_what_is_named(alice_api: APIClient, alice: User) -> None:
    assert alice_api.get(API).json() == dict.fromkeys(KINDS, USUAL)
    answer = alice_api.patch(API, {"job_finished": {"email": "hourly"}})
    assert answer.json()["job_finished"] == USUAL | {"email": "hourly"}
    answer = alice_api.patch(API, {"job_finished": {"in_app": False}, "message": {"webhook": True}})
    assert answer.json() == dict.fromkeys(KINDS, USUAL) | {
        "job_finished": {"in_app": False, "email": "hourly", "webhook": False},
        "message": USUAL | {"webhook": True},
    }
    assert alice_api.get(API).json() == answer.json()
    assert alice_api.patch(API, {}).json() == answer.json()


@pytest.mark.once
@pytest.mark.parametrize(
    "body",
    [
        {"nonsense": {"in_app": True}},
        {"message": {"email": "weekly"}},
        {"message": {"in_app": "perhaps"}},
        {"message": {"sms": True}},
        {"message": True},
        {"message": None},
        ["message"],
    ],
)
def test_the_api_refuses_what_it_does_not_know(
    alice_api: APIClient, alice: User, body: Any
) -> None:
    answer = alice_api.patch(API, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), answer.content
    assert not Preferences.objects.filter(user=alice).exists()


@pytest.mark.once
def test_choices_are_ones_own(alice: User, bob: User, bob_api: APIClient) -> None:
    set_choices(user=alice, choices={"message": Choice(in_app=False)})
    assert bob_api.get(API).json() == dict.fromkeys(KINDS, USUAL)


def test_who_wants_no_more_mails_gets_none_of_what_was_due(
    acme: Organization, alice: User, alice_api: APIClient
) -> None:
    set_choices(user=alice, choices={"message": Choice(mail=Mail.DAILY)})
    row = tell(alice, acme)
    assert row.mail_due_at is not None
    assert row.mail_due_at > timezone.now()
    alice_api.patch(API, {"message": {"email": "never"}})
    assert Notification.objects.get(pk=row.pk).mail_due_at is None


@pytest.mark.usefixtures("_webhooks")
def test_webhooks_are_told_once_for_all_who_want_it(
    acme: Organization, alice: User, bob: User, alice_web: Client
) -> None:
    assert 'name="webhook-message"' in alice_web.get(PAGE).content.decode()
    alice_web.post(PAGE, form(**{"webhook-message": "on", "in_app-message": None}))
    set_choices(user=bob, choices={"message": Choice(webhook=True)})
    tell(alice, acme, users=[alice.pk, bob.pk])
    facts = {"title": "Message 1", "text": "Read this."}
    assert heard == [
        {
            "kind": "message",
            "key": "message:1",
            "organization_id": acme.pk,
            "users": sorted([alice.pk, bob.pk]),
            "facts": facts,
        }
    ]
    tell(alice, acme, users=[alice.pk, bob.pk])
    assert len(heard) == 1, "the same state told again is no news"
    assert not Notification.objects.get(user=alice, key="message:1").is_shown


@pytest.mark.once
def test_there_is_no_column_for_webhooks_where_nothing_sends_any(
    alice_web: Client, settings: Any
) -> None:
    assert "Webhook</th>" in alice_web.get(PAGE).content.decode()
    settings.ENABLE_WEBHOOKS = False
    assert "Webhook</th>" not in alice_web.get(PAGE).content.decode()


@pytest.mark.once
def test_off_means_off(alice_web: Client, alice_api: APIClient, settings: Any) -> None:
    settings.ENABLE_NOTIFICATIONS = False
    assert alice_web.get(PAGE).status_code == 503
    assert alice_web.post(PAGE, form()).status_code == 503
    for answer in (alice_api.get(API), alice_api.patch(API, {})):
        assert (answer.status_code, answer.json()["code"]) == (503, "notifications.disabled")


@pytest.mark.once
def test_what_another_version_stored_hinders_nobody() -> None:
    assert choice_of({"message": {"mail": "weekly", "webhook": True}}, "message") == Choice(
        webhook=True
    )
