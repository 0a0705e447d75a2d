"""Messages: made, and read as a receiver reads them."""

from typing import Any

from standardwebhooks import Webhook

from apps.accounts.models import Organization
from apps.webhooks.models import Delivery
from apps.webhooks.outbox import publish
from tests.webhooks.receiver import Sent


def tell(organization: Organization, key: str = "1") -> Delivery:
    publish(organization=organization, event="batch_job.failed", key=key, data={"id": key})
    return Delivery.objects.latest("pk")


def verified(sent: Sent, secret: str) -> Any:
    return Webhook(secret).verify(sent.body, sent.headers)
