"""/api/webhooks: who may do what, and what they are told."""

import json
import uuid
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization, User
from apps.audit.models import AuditEntry
from apps.webhooks.events import EVENTS, USUAL
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import MAX_ENDPOINTS, add_endpoint
from tests.conftest import ApiFor
from tests.webhooks.conftest import Work
from tests.webhooks.messages import tell, verified
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

API = "/api/webhooks"
URL = "https://example.com/hook"


def refused(answer: Any, status: int, code: str, field: str = "") -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert [each["field"] for each in answer.json()["errors"]] == ([field] if field else [])


def paths(endpoint: Endpoint, delivery: Delivery) -> list[tuple[str, str]]:
    one, message = f"{API}/{endpoint.pk}", f"{API}/deliveries/{delivery.pk}"
    return [
        *(("GET", each) for each in (one, f"{one}/deliveries", message)),
        ("PATCH", one),
        ("DELETE", one),
        *(("POST", f"{one}/{verb}") for verb in ("test", "rotate", "secret")),
        ("POST", f"{message}/redeliver"),
    ]


def test_adding_reading_changing_deleting(alice_api: APIClient, acme: Organization) -> None:
    made = alice_api.post(API, {"url": f" {URL} ", "name": "Books", "events": [*EVENTS][::-1]})
    assert made.status_code == 201
    told = made.json()
    secret = told.pop("secret")
    assert secret.startswith("whsec_")
    one = f"{API}/{told['id']}"
    assert told | {"created_at": ""} == {
        "id": told["id"],
        "name": "Books",
        "url": URL,
        "events": list(EVENTS),
        "state": "enabled",
        "disabled_reason": "",
        "disabled_at": None,
        "failing_since": None,
        "old_secret_until": None,
        "created_by": "alice@example.com",
        "created_at": "",
        "self_url": f"http://testserver{one}",
        "deliveries_url": f"http://testserver{one}/deliveries",
    }
    assert alice_api.get(one).json() == told
    assert alice_api.get(API).json()["results"] == [told]
    assert secret not in str(Endpoint.objects.values())
    changed = alice_api.patch(one, {"enabled": False, "name": "", "events": ["batch_job.failed"]})
    assert changed.json() == {
        **told,
        "name": "",
        "events": ["batch_job.failed"],
        "state": "disabled",
        "disabled_reason": "somebody disabled it",
        "disabled_at": changed.json()["disabled_at"],
    }
    assert alice_api.patch(one, {"enabled": True}).json()["state"] == "enabled"
    assert alice_api.post(f"{one}/secret").json() == {"secret": secret}
    rotated = alice_api.post(f"{one}/rotate").json()
    assert rotated["secret"] != secret
    assert rotated["old_secret_until"] > timezone.now().isoformat()
    assert alice_api.delete(one).status_code == 204
    refused(alice_api.get(one), 404, "request.not_found")
    log = AuditEntry.objects.filter(organization_id=acme.pk, action__startswith="webhook.")
    assert list(log.order_by("number").values_list("action", flat=True)) == [
        *("webhook.add", "webhook.change", "webhook.change", "webhook.reveal"),
        *("webhook.rotate", "webhook.delete"),
    ]
    assert secret.removeprefix("whsec_") not in str(list(log.values()))


def test_what_may_be_left_out(alice_api: APIClient) -> None:
    told = alice_api.post(API, {"url": URL}).json()
    assert (told["name"], told["events"]) == ("", list(USUAL))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://127.0.0.1/x"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/x"}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": "batch_job.failed"}, "events"),
        ({"url": URL, "events": ["batch_job.paused"]}, "events"),
        ({"url": URL, "events": ["webhook.test"]}, "events"),
        ({"url": URL, "events": [{}]}, "events"),
        ({"url": URL, "name": "x" * 201}, "name"),
        ({"url": URL, "name": None}, "name"),
        ({"url": URL, "secret": "whsec_mine"}, "secret"),
        ({"url": URL, "enabled": True}, "enabled"),
    ],
)
def test_what_is_not_taken(alice_api: APIClient, fields: dict[str, Any], field: str) -> None:
    refused(alice_api.post(API, fields, format="json"), 400, "request.invalid", field)
    assert not Endpoint.objects.exists()


def test_an_organization_has_ten_at_most(alice_api: APIClient, owner: Actor) -> None:
    for number in range(MAX_ENDPOINTS):
        add_endpoint(actor=owner, url=f"{URL}/{number}", events=list(USUAL))
    refused(alice_api.post(API, {"url": URL}), 409, "webhook.too_many")
    page = alice_api.get(API, {"limit": 4}).json()
    rest = alice_api.get(page["next"]).json()
    found = [each["url"] for each in page["results"] + rest["results"]]
    assert found == [f"{URL}/{number}" for number in range(9, 1, -1)]


def test_a_test_and_the_log(
    alice_api: APIClient, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    receiver.answers = [500]
    sent = alice_api.post(f"{API}/{endpoint.pk}/test")
    assert (sent.status_code, sent.json()["state"]) == (202, "pending")
    work()
    waits = alice_api.get(sent.json()["url"]).json()
    assert (waits["state"], waits["status"], waits["error"]) == (
        *("pending", 500, "It answered 500."),
    )
    work()
    told = alice_api.get(sent.json()["url"]).json()
    assert (told["state"], told["tries"], told["status"]) == ("delivered", 2, 204)
    assert [(each["number"], each["status"]) for each in told["log"]] == [(2, 204), (1, 500)]
    secret = alice_api.post(f"{API}/{endpoint.pk}/secret").json()["secret"]
    assert verified(receiver.sent[1], secret) == told["body"]
    again = alice_api.post(f"{told['url']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    work()
    assert {each.id for each in receiver.sent} == {told["event_id"]}
    listed = alice_api.get(f"{API}/{endpoint.pk}/deliveries").json()["results"]
    assert [(each["event"], each["state"], each["tries"]) for each in listed] == [
        ("webhook.test", "delivered", 3)
    ]


def test_the_log_is_filtered_and_paged(
    alice_api: APIClient, acme: Organization, endpoint: Endpoint
) -> None:
    made = [str(tell(acme, key).pk) for key in "abcd"]
    Delivery.objects.filter(pk=made[1]).update(state="failed")
    log = f"{API}/{endpoint.pk}/deliveries"
    page = alice_api.get(log, {"limit": 3}).json()
    assert [each["id"] for each in page["results"]] == made[:0:-1]
    assert [each["id"] for each in alice_api.get(page["next"]).json()["results"]] == made[:1]
    failed = alice_api.get(log, {"state": "failed"}).json()["results"]
    assert [each["id"] for each in failed] == [made[1]]
    assert alice_api.get(log, {"event": "webhook.test"}).json()["results"] == []
    assert alice_api.get(log, {"event": "other"}).status_code == 400
    assert alice_api.get(log, {"colour": "red"}).status_code == 400


def test_a_disabled_endpoint_is_sent_nothing(alice_api: APIClient, endpoint: Endpoint) -> None:
    sent = alice_api.post(f"{API}/{endpoint.pk}/test").json()
    alice_api.patch(f"{API}/{endpoint.pk}", {"enabled": False})
    refused(alice_api.post(f"{API}/{endpoint.pk}/test"), 409, "webhook.disabled")
    refused(alice_api.post(f"{sent['url']}/redeliver"), 409, "webhook.disabled")


def test_it_does_not_exist_for_others(
    charlie_api: APIClient, acme: Organization, endpoint: Endpoint
) -> None:
    delivery = tell(acme)
    before = list(Endpoint.objects.values()), list(Delivery.objects.values())
    for verb, path in paths(endpoint, delivery):
        refused(charlie_api.generic(verb, path), 404, "request.not_found")
        other = path.replace(str(endpoint.pk), str(uuid.uuid4()))
        refused(
            charlie_api.generic(verb, other.replace(str(delivery.pk), str(uuid.uuid4()))),
            *(404, "request.not_found"),
        )
    assert charlie_api.get(API).json()["results"] == []
    assert before == (list(Endpoint.objects.values()), list(Delivery.objects.values()))


@pytest.mark.parametrize("role", ["reader", "contributor"])
def test_only_owners_and_admins_manage_them(
    bob_api: APIClient, bob: User, acme: Organization, endpoint: Endpoint, role: str
) -> None:
    Membership.objects.filter(user=bob).update(role=role)
    delivery = tell(acme)
    refused(bob_api.post(API, {"url": URL}), 403, "auth.forbidden")
    assert bob_api.get(API).json()["results"] == []
    for verb, path in paths(endpoint, delivery):
        refused(bob_api.generic(verb, path), 403, "auth.forbidden")
    # One that they added when they were more is theirs to see, and no more.
    Endpoint.objects.update(created_by=bob)
    assert len(bob_api.get(API).json()["results"]) == 1
    for verb, path in paths(endpoint, delivery):
        expected = 200 if verb == "GET" else 403
        assert bob_api.generic(verb, path).status_code == expected, path
    assert Endpoint.objects.get().created_by == bob


def test_an_admin_may(api_for: ApiFor, bob: User, endpoint: Endpoint, acme: Organization) -> None:
    Membership.objects.filter(user=bob).update(role="admin")
    api, delivery = api_for(bob), tell(acme)
    assert api.post(API, {"url": URL}).status_code == 201
    last = [each for each in paths(endpoint, delivery) if each[0] == "DELETE"]
    rest = [each for each in paths(endpoint, delivery) if each not in last]
    for verb, path in [*rest, *last]:
        sent = {"name": "Bob's"} if verb == "PATCH" else None
        assert api.generic(verb, path, *_json(sent)).status_code < 300, path


def _json(value: Any) -> tuple[str, str]:
    return (json.dumps(value) if value else "", "application/json")


def test_while_they_are_off_it_says_so(
    alice_api: APIClient,
    charlie_api: APIClient,
    acme: Organization,
    endpoint: Endpoint,
    settings: Settings,
) -> None:
    delivery = tell(acme)
    settings.ENABLE_WEBHOOKS = False
    for verb, path in [("GET", API), ("POST", API), *paths(endpoint, delivery)]:
        for api in (alice_api, charlie_api):
            answer = api.generic(verb, path)
            refused(answer, 503, "webhook.off")
            assert answer["Retry-After"] == "300"
    assert APIClient().get(API).status_code == 401
    assert Endpoint.objects.count() == Delivery.objects.count() == 1


def test_lists_take_a_fixed_number_of_queries(
    alice_api: APIClient,
    acme: Organization,
    owner: Actor,
    endpoint: Endpoint,
    django_assert_num_queries: Any,
) -> None:
    def counted(path: str) -> int:
        with django_assert_num_queries(100, exact=False) as found:
            assert alice_api.get(path).status_code == 200
        return len(found)

    tell(acme, "a")
    log = f"{API}/{endpoint.pk}/deliveries"
    counted(API)  # that the key was used is noted the first time
    before = counted(API), counted(log)
    for number in range(5):
        add_endpoint(actor=owner, url=f"{URL}/{number}", events=["batch_job.failed"])
        tell(acme, str(number))
    assert (counted(API), counted(log)) == before
