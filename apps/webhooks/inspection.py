"""Whether messages go out: looks at rows, changes nothing."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from apps.queue.findings import BROKEN, WEAK, Finding, Promise
from apps.queue.models import WorkItem
from apps.queue.states import UNFINISHED
from apps.webhooks.models import Delivery, DeliveryState, DisabledReason, Endpoint, EndpointState

LATE = timedelta(minutes=10)
"""Beat puts what nobody is sending in line once a minute."""
LATELY = timedelta(days=1)
LOOKED_AT = 100
"""Of very many it is enough to know that they are."""

WAITING = Promise(
    "messages that wait",
    BROKEN,
    "they are to be sent and in no line: start manage.py beat, or see why send_webhooks fails.",
)
UNSENT = Promise(
    "unsent messages",
    WEAK,
    "given up within a day: the endpoint's log of deliveries says why, and sends one again.",
)
DISABLED = Promise(
    "failing endpoints",
    WEAK,
    "disabled because they took no messages: see to their receivers, then enable them.",
)


def inspect() -> list[Finding]:
    late = [str(pk) for pk in waiting().values_list("pk", flat=True)[:LOOKED_AT]]
    failed = [f"{each.pk}: {each.error or each.status}" for each in given_up()[:LOOKED_AT]]
    off = disabled()
    return [
        WAITING.finding(len(late), late),
        UNSENT.finding(len(failed), failed),
        DISABLED.finding(off.count(), off.values_list("pk", flat=True)[:3]),
    ]


def waiting() -> QuerySet[Delivery]:
    """Messages that are pending for a while, and of which no work is under way."""
    if not settings.ENABLE_WEBHOOKS:
        return Delivery.objects.none()
    at_work = WorkItem.objects.filter(pk=OuterRef("work_id"), state__in=sorted(UNFINISHED))
    rows: QuerySet[Delivery] = Delivery.objects.pending().filter(
        ~Exists(at_work),
        created_at__lt=Now() - LATE,
        endpoint__state=EndpointState.ENABLED,
    )
    return rows.order_by("pk")


def given_up() -> QuerySet[Any]:
    """Messages of which every try of the last day failed, the latest first."""
    rows: QuerySet[Any] = Delivery.objects.filter(
        ended_at__gte=Now() - LATELY, state=DeliveryState.FAILED
    )
    return rows.order_by("-ended_at")


def disabled() -> QuerySet[Endpoint]:
    rows: QuerySet[Endpoint] = Endpoint.objects.filter(
        state=EndpointState.DISABLED, disabled_reason=DisabledReason.FAILING
    )
    return rows.order_by("pk")
