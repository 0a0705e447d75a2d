"""Pausing and resuming from the board, and the limits of lanes: asked for, done, recorded."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.queue.claim import claim
from apps.queue.lanes import free_places, set_limits
from apps.queue.models import Lane, Pause
from apps.queue.pauses import pause
from tests.batches import SOMEBODY, claimed, submit
from tests.operators import staff, superuser, told

BOARD = reverse("admin:queue_board_changelist")
PAUSE = reverse("admin:queue_board_pause")
LANES = reverse("admin:queue_lane_changelist")


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def recorded() -> list[tuple[str, str, str, str]]:
    """Who did what to which lane and why, the first first."""
    entries = AuditEntry.objects.filter(action__startswith="queue.").order_by("pk")
    return list(entries.values_list("actor_name", "action", "target_id", "reason"))


def send(client: Client, **form: str) -> Any:
    return client.post(PAUSE, {"lane": "", "organization": "", "lasts": "", **form}, follow=True)


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["form"].errors)


def test_a_lane_is_paused_after_a_question_and_resumed_after_another(
    operator: Client, acme: Organization
) -> None:
    submit(acme, "text")
    asked = operator.get(PAUSE, {"lane": "default"})
    assert '<option value="default" selected>' in asked.content.decode()
    assert "background work are not held back" in asked.content.decode()
    assert not Pause.objects.exists()

    answer = send(operator, lane="default", reason="The scanner <b>is</b> repaired")
    assert "The scanner &lt;b&gt;is&lt;/b&gt; repaired" in answer.content.decode()
    assert answer.request["PATH_INFO"] == BOARD
    assert told(answer) == ["Paused: lane default for all organizations."]
    assert claim("default", SOMEBODY) is None

    made = Pause.objects.get()
    assert (made.reason, made.until) == ("The scanner <b>is</b> repaired", None)
    resume = reverse("admin:queue_board_resume", args=[made.pk])
    assert "The scanner &lt;b&gt;is&lt;/b&gt; repaired" in operator.get(resume).content.decode()
    assert Pause.objects.exists()
    assert told(operator.post(resume, follow=True)) == [
        "Resumed: lane default for all organizations."
    ]
    claimed()
    assert recorded() == [
        ("root@example.com", "queue.pause", "default", "The scanner <b>is</b> repaired"),
        ("root@example.com", "queue.resume", "default", ""),
    ]


@pytest.mark.parametrize("by", ["name", "pk"])
def test_an_organization_is_paused_by_its_name_or_id(
    operator: Client, acme: Organization, other: Organization, by: str
) -> None:
    submit(acme, "text")
    theirs = submit(other, "text")
    answer = send(operator, organization=str(getattr(acme, by)), reason="Asked for it")
    assert told(answer) == ["Paused: every lane for Acme."]
    assert claimed().job_id == theirs.pk
    assert claim("default", SOMEBODY) is None


def test_everything_is_paused_for_a_while(operator: Client, acme: Organization) -> None:
    submit(acme, "text")
    send(operator, lasts="60", reason="Backup")
    until = Pause.objects.get().until
    assert until is not None
    assert abs(until - timezone.now() - timedelta(hours=1)) < timedelta(seconds=30)
    assert claim("default", SOMEBODY) is None


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": "Why", "lane": "nonsense"}, "lane"),
        ({"reason": "Why", "organization": "Nobody"}, "organization"),
        ({"reason": "Why", "organization": "7e57"}, "organization"),
        ({"reason": "Why", "lasts": "3"}, "lasts"),
    ],
)
def test_what_is_wrong_is_said_and_pauses_nothing(
    operator: Client, form: dict[str, str], field: str
) -> None:
    answer = send(operator, **form)
    assert answer.status_code == 200
    assert list(errors(answer)) == [field]
    assert "Nothing is paused yet." in answer.content.decode()
    assert not Pause.objects.exists()


def test_a_name_that_several_have_is_not_guessed(operator: Client, acme: Organization) -> None:
    Organization.objects.create(name="Acme")
    answer = send(operator, organization="Acme", reason="Why")
    assert errors(answer) == {"organization": ["Several have this name: give the id of one."]}


def test_a_pause_that_is_over_is_not_there(operator: Client, alice: User) -> None:
    made = pause(by=alice, reason="Why")
    page = reverse("admin:queue_board_resume", args=[made.pk])
    assert operator.post(page).status_code == 302
    assert operator.get(page).status_code == 404
    assert operator.post(page).status_code == 404


def test_only_who_may_pauses_and_resumes(alice: User) -> None:
    made = pause(by=alice, reason="Why")
    page = reverse("admin:queue_board_resume", args=[made.pk])
    client = staff("view_board", "view_pause")
    assert client.get(PAUSE).status_code == client.get(page).status_code == 403
    assert send(client, reason="Mine").status_code == client.post(page).status_code == 403
    assert Pause.objects.get().reason == "Why"
    client.logout()
    assert client.post(PAUSE, {"reason": "Mine"}).status_code == 302
    assert Pause.objects.count() == 1


def test_who_may_pause_only_needs_no_more(acme: Organization) -> None:
    client = staff("view_board", "change_pause")
    assert 'aria-label="Pause lane ocr"' in client.get(BOARD).content.decode()
    assert told(send(client, lane="ocr", reason="Why")) == [
        "Paused: lane ocr for all organizations."
    ]


@pytest.mark.parametrize("path", [PAUSE, f"{BOARD}resume/1/"])
def test_a_form_of_another_site_is_refused(db: None, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies = superuser().cookies
    assert client.post(path, {"reason": "Why"}).status_code == 403


def save_limits(client: Client, page: str, **form: str) -> Any:
    limits = {"max_running": "", "max_running_per_organization": "", **form}
    return client.post(page, limits, follow=True)


def test_limits_are_set_for_a_lane_that_has_none_then_changed(
    operator: Client, acme: Organization
) -> None:
    add = reverse("admin:queue_lane_add")
    shown = operator.get(add, {"name": "ocr"}).content.decode()
    assert '<option value="ocr" selected>' in shown
    answer = save_limits(operator, add, name="ocr", max_running="5")
    assert answer.request["PATH_INFO"] == LANES, answer.content.decode()
    assert free_places("ocr") == 5
    assert '<option value="ocr"' not in operator.get(add).content.decode()

    change = reverse("admin:queue_lane_change", args=["ocr"])
    save_limits(operator, change, max_running="", max_running_per_organization="1")
    row = Lane.objects.get(pk="ocr")
    assert (row.max_running, row.max_running_per_organization) == (None, 1)
    assert free_places("ocr") == 2
    assert "2, as the settings say" in operator.get(LANES).content.decode()
    entries = AuditEntry.objects.filter(action="queue.limit").order_by("pk")
    assert [(each.actor_name, each.target_id, each.detail) for each in entries] == [
        ("root@example.com", "ocr", '{"max_running":5,"max_running_per_organization":null}'),
        ("root@example.com", "ocr", '{"max_running":null,"max_running_per_organization":1}'),
    ]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many"])
def test_a_limit_that_makes_no_sense_is_refused(operator: Client, limit: str) -> None:
    add = reverse("admin:queue_lane_add")
    assert save_limits(operator, add, name="ocr", max_running=limit).status_code == 200
    assert not Lane.objects.exists()


def test_limits_are_not_deleted_and_only_changed_by_who_may(alice: User, db: None) -> None:
    set_limits(by=alice, lane="ocr", max_running=1, max_running_per_organization=None)
    change = reverse("admin:queue_lane_change", args=["ocr"])
    looker = staff("view_lane")
    assert looker.get(LANES).status_code == looker.get(change).status_code == 200
    assert save_limits(looker, change, max_running="9").status_code == 403
    delete = reverse("admin:queue_lane_delete", args=["ocr"])
    assert superuser().post(delete, {"post": "yes"}).status_code == 403
    assert Lane.objects.get().max_running == 1


def test_a_lane_that_does_not_exist_has_no_limits(alice: User) -> None:
    with pytest.raises(ValueError, match="There is no lane nonsense"):
        set_limits(by=alice, lane="nonsense", max_running=1, max_running_per_organization=None)
