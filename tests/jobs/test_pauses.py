"""The organization's own pause by API, and what is told of the others."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.audit.models import AuditEntry
from apps.queue.claim import claim
from apps.queue.pauses import pause
from tests.batches import SOMEBODY
from tests.conftest import ApiFor
from tests.jobs.forms import accepted, done, read, refusal
from tests.operators import operator_in

PAUSE = "/api/batch/pause"


@pytest.fixture
def job(alice_api: APIClient) -> dict[str, Any]:
    return accepted(alice_api)


def nothing_starts() -> bool:
    return claim("default", SOMEBODY) is None


def test_an_organization_is_paused_and_goes_on(
    alice_api: APIClient, bob_api: APIClient, job: dict[str, Any]
) -> None:
    assert read(bob_api, PAUSE) == {"pauses": []}
    told = done(alice_api.post(PAUSE, {"reason": "End of the year"}, format="json"))
    assert read(bob_api, PAUSE) == told
    [own] = told["pauses"]
    assert set(own) == {"scope", "lane", "by", "reason", "since", "until"}
    assert (own["scope"], own["lane"], own["by"]) == ("organization", "", "Alice")
    assert (own["reason"], own["until"]) == ("End of the year", None)
    assert nothing_starts()
    assert read(bob_api, job["url"])["queue_position"] is None
    assert done(alice_api.delete(PAUSE)) == {"pauses": []}
    assert done(alice_api.delete(PAUSE)) == {"pauses": []}
    assert not nothing_starts()
    actions = AuditEntry.objects.filter(action__startswith="queue.").order_by("id")
    assert [entry.action for entry in actions] == ["queue.pause", "queue.resume"]


def test_pauses_of_operators_are_told_without_their_names(
    alice_api: APIClient, acme: Organization, alice: User
) -> None:
    operator = operator_in(acme).user
    until = timezone.now() + timedelta(hours=1)
    pause(by=operator, reason="Moving house", until=until)
    pause(by=None, lane="ocr", reason="Storage failed")
    pause(by=alice, lane="ocr", organization=acme)
    told = read(alice_api, PAUSE)["pauses"]
    assert [(each["scope"], each["lane"], each["by"]) for each in told] == [
        ("everything", "", "an operator"),
        ("lane", "ocr", None),
        ("organization", "ocr", "Alice"),
    ]
    assert datetime.fromisoformat(told[0]["until"]) == until
    pause(by=operator, until=timezone.now() - timedelta(seconds=1))
    assert len(read(alice_api, PAUSE)["pauses"]) == 2, "it is over"


def test_what_an_operator_paused_its_owner_does_not_let_go(
    alice_api: APIClient, acme: Organization
) -> None:
    pause(by=operator_in(acme).user, organization=acme, reason="Too much")
    for answer in (alice_api.delete(PAUSE), alice_api.post(PAUSE)):
        assert "An operator" in refusal(answer, 403, "auth.forbidden")["detail"]
    [told] = read(alice_api, PAUSE)["pauses"]
    assert (told["by"], told["reason"]) == ("an operator", "Too much")


def test_nor_what_was_paused_from_the_command_line_where_nobody_is_named(
    alice_api: APIClient, acme: Organization
) -> None:
    call_command("queue", "pause", organization=acme.pk, reason="Not paid", stdout=StringIO())
    for answer in (alice_api.delete(PAUSE), alice_api.post(PAUSE)):
        refusal(answer, 403, "auth.forbidden")
    [told] = read(alice_api, PAUSE)["pauses"]
    assert (told["by"], told["reason"]) == (None, "Not paid")


def test_an_operators_pause_of_one_lane_leaves_the_own_pause_to_its_owners(
    alice_api: APIClient, acme: Organization
) -> None:
    pause(by=operator_in(acme).user, organization=acme, lane="ocr")
    done(alice_api.post(PAUSE))
    [left] = done(alice_api.delete(PAUSE))["pauses"]
    assert (left["lane"], left["by"]) == ("ocr", "an operator")


def test_only_owners_and_admins_pause_the_organization(
    bob_api: APIClient, acme: Organization, api_for: ApiFor
) -> None:
    carol = create_user(email="carol@example.com", password=None)
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    for api in (bob_api, api_for(carol)):
        for answer in (api.post(PAUSE), api.delete(PAUSE), api.post(PAUSE, {"no": "sense"})):
            refusal(answer, 403, "auth.forbidden")
    admin = create_user(email="erin@example.com", password=None)
    add_member(organization=acme, user=admin, role=Role.ADMIN)
    assert done(api_for(admin).post(PAUSE))["pauses"][0]["by"] == "erin@example.com"


def test_ones_own_pause_is_all_that_somebody_sees_and_ends(
    alice_api: APIClient, charlie_api: APIClient, job: dict[str, Any]
) -> None:
    alice_api.post(PAUSE, {"reason": "acme's"}, format="json")
    assert read(charlie_api, PAUSE) == {"pauses": []}
    assert done(charlie_api.delete(PAUSE)) == {"pauses": []}
    assert done(charlie_api.post(PAUSE))["pauses"][0]["by"] == "Charlie"
    assert [each["reason"] for each in read(alice_api, PAUSE)["pauses"]] == ["acme's"]
