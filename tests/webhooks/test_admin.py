"""Webhooks in the admin: seen without secrets, sent again, disabled, deleted."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization
from apps.audit.models import AuditEntry
from apps.webhooks.models import Delivery, Endpoint
from tests.operators import superuser
from tests.webhooks.conftest import Work
from tests.webhooks.messages import tell
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/webhooks"


def act(client: Client, action: str, row: Any) -> str:
    form = {"action": action, "_selected_action": [str(row.pk)], "confirmed": "yes"}
    answer = client.post(f"{ADMIN}/{row._meta.model_name}/", form, follow=True)
    return " ".join(map(str, answer.context["messages"]))


def test_operators_see_messages_and_send_them_again(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    client = superuser()
    receiver.answers = [500, 410]
    delivery = tell(acme)
    work()
    for path in ("endpoint", f"endpoint/{endpoint.pk}/change", "delivery"):
        html = client.get(f"{ADMIN}/{path}/").content.decode()
        assert "Books" in html
        assert endpoint.sealed_secret not in html
    html = client.get(f"{ADMIN}/delivery/{delivery.pk}/change/").content.decode()
    assert "It answered 500." in html
    assert str(delivery.event_id) in html
    found = client.get(f"{ADMIN}/delivery/?q={delivery.event_id}").content.decode()
    assert str(delivery.pk) in found
    assert act(client, "redeliver", delivery) == "In line again: 1 webhook delivery."
    work()
    assert [sent.id for sent in receiver.sent] == [str(delivery.event_id)] * 2
    assert "Skipped: 1" in act(client, "redeliver", delivery)  # by now it is disabled
    assert Delivery.objects.get().state == "failed"


def test_operators_disable_and_delete(acme: Organization, endpoint: Endpoint) -> None:
    client = superuser()
    tell(acme)
    assert act(client, "disable", endpoint) == "Disabled: 1 webhook endpoint."
    assert "It is disabled already." in act(client, "disable", endpoint)
    assert act(client, "delete", endpoint) == "Deleted: 1 webhook endpoint."
    assert not Delivery.objects.exists()
    log = AuditEntry.objects.filter(organization_id=acme.pk).order_by("number")
    assert list(log.values_list("action", flat=True)) == [
        *("webhook.add", "webhook.change", "webhook.delete"),
    ]
