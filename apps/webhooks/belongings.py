"""What webhooks keep of organizations."""

from typing import ClassVar

from django.db import transaction
from django.db.models import Model

from apps.accounts.belongings import Belongings
from apps.accounts.models import Organization
from apps.queue.models import WorkItem, in_states
from apps.queue.states import READY
from apps.queue.work_items import withdraw_work
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.outbox import KIND

CHUNK = 1000


class WebhookBelongings(Belongings):
    models: ClassVar[tuple[type[Model], ...]] = (Endpoint, Delivery)

    def remove(self, organization: Organization) -> None:
        """The log a part at a time, then the endpoints. What is just being sent finds nothing."""
        _withdraw(organization)
        log = Delivery.objects.in_organization(organization).order_by("pk")
        while ids := list(log.values_list("pk", flat=True)[:CHUNK]):
            Delivery.objects.filter(pk__in=ids).delete()
        Endpoint.objects.in_organization(organization).delete()


def _withdraw(organization: Organization) -> None:
    """What stands in line, where it may wait half a day for its next try."""
    work = WorkItem.objects.filter(in_states(READY), kind=KIND, organization=organization)
    while ids := list(work.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            withdraw_work(WorkItem.objects.filter(pk__in=ids))
