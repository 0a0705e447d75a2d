"""What is to be told: written in the transaction of what it tells of, and put in line to be sent.

The line is the lane of mails. Both are short messages to the outside that wait for a network, so
neither takes a place from documents; with low priority a message stands behind the mails, which
people wait for, and the queue moves forward what has waited long. Organizations take turns, and
of each one message is sent at a time: a receiver that answers late keeps waiting its own only.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.audit.services import record
from apps.queue.doorbell import ring_on_commit
from apps.queue.lanes import take_ranks
from apps.queue.models import Priority, WorkItem
from apps.queue.states import READY, State
from apps.queue.work_items import MAILS
from apps.webhooks.errors import EndpointDisabled, WebhooksOff
from apps.webhooks.events import TEST, message
from apps.webhooks.models import Delivery, DeliveryState, Endpoint

KIND = "webhooks.deliver"
NAMESPACE = uuid.UUID("6f2b6c0e-3b0f-5b52-9f0a-7d1c8c1f4a11")
PUMPED = 500
"""Messages that one round of the schedule puts in line."""


@transaction.atomic(savepoint=False)
def publish(
    *,
    organization: Organization,
    event: str,
    key: str,
    data: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
) -> int:
    """Tells every endpoint of the organization that wants to know of `event`; how many do.

    Call it in the transaction of what happened. `key` says which event it is: told a second time,
    nothing is added, and whoever has two endpoints sees one id in both. `data` may be what makes
    it, which is asked only where somebody wants to know: locks are held meanwhile.
    """
    enabled = Endpoint.objects.in_organization(organization).enabled()
    if not any(event in each for each in enabled.values_list("events", flat=True)):
        return 0
    # Held until the end, or one that is deleted meanwhile would undo what it is to be told of.
    locked = enabled.order_by("pk").select_for_update(no_key=True)
    event_id = uuid.uuid5(NAMESPACE, f"{event} {key}")
    body = message(event, timezone.now(), data() if callable(data) else data)
    wanted = [
        Delivery(
            organization_id=endpoint.organization_id,
            endpoint=endpoint,
            event_id=event_id,
            event=event,
            body=body,
        )
        for endpoint in locked
        if event in endpoint.events
    ]
    Delivery.objects.bulk_create(wanted, ignore_conflicts=True)
    new = list(Delivery.objects.filter(pk__in=[each.pk for each in wanted]))
    _put_in_line(new)
    return len(new)


@transaction.atomic
def send_test(*, actor: Actor, endpoint: Endpoint) -> Delivery:
    """Sends the endpoint a message that tells of nothing. Raises Forbidden, WebhooksOff or
    EndpointDisabled."""
    actor.require("update", "webhooks")
    _require_on()
    now = timezone.now()
    locked = _enabled(endpoint)
    about = {"id": str(locked.pk), "name": locked.name}
    delivery = Delivery.objects.create(
        organization_id=locked.organization_id,
        endpoint=locked,
        event_id=uuid.uuid4(),
        event=TEST,
        body=message(TEST, now, about),
    )
    _put_in_line([delivery])
    _note(delivery, actor, "webhook.test")
    return delivery


@transaction.atomic
def redeliver(*, actor: Actor, delivery: Delivery) -> Delivery:
    """Sends a message again, with the id that it had; one that waits is tried at once. Raises
    Forbidden, WebhooksOff or EndpointDisabled."""
    actor.require("update", "webhooks")
    _require_on()
    _enabled(delivery.endpoint)
    locked = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if work := _unfinished(locked):
        WorkItem.objects.filter(pk=work.pk, state__in=READY).update(available_at=Now())
        ring_on_commit(MAILS, 1)
        _note(locked, actor, "webhook.redeliver")
        return locked
    locked.state, locked.ended_at = DeliveryState.PENDING, None
    locked.save(update_fields=["state", "ended_at"])
    _put_in_line([locked])
    _note(locked, actor, "webhook.redeliver")
    return locked


def _note(delivery: Delivery, actor: Actor, action: str) -> None:
    record(
        organization=actor.organization,
        actor=actor.user,
        action=action,
        target="delivery",
        target_id=delivery.pk,
        detail={"webhook": str(delivery.endpoint_id), "event": delivery.event},
    )


def send_waiting() -> None:
    """Puts in line what nobody is sending, and gives up what could not be worked on.

    Recurring. What was written while ENABLE_WEBHOOKS was off is sent once it is on.
    """
    if not settings.ENABLE_WEBHOOKS:
        return
    for pk in list(_forgotten().order_by("pk").values_list("pk", flat=True)[:PUMPED]):
        with transaction.atomic():
            one = _forgotten().filter(pk=pk)
            delivery = one.select_for_update(of=("self",), skip_locked=True).first()
            if delivery is not None:
                _take_up(delivery)


def _take_up(delivery: Delivery) -> None:
    """The delivery's row is locked, and nobody is sending it."""
    work = WorkItem.objects.filter(pk__in=[delivery.work_id]).first()
    if work is None or work.state == State.SUCCEEDED:  # it found webhooks switched off
        _put_in_line([delivery])
        return
    delivery.state, delivery.ended_at = DeliveryState.FAILED, timezone.now()
    delivery.error = work.error_detail[:300] or f"The work that was to send it is {work.state}."
    delivery.save(update_fields=["state", "ended_at", "error"])


def _forgotten() -> QuerySet[Delivery]:
    at_work = WorkItem.objects.unfinished().filter(pk=OuterRef("work_id"))
    return Delivery.objects.pending().exclude(Exists(at_work))


def _put_in_line(deliveries: list[Delivery]) -> None:
    """All of one organization, in the transaction that wrote them, or has their rows. While
    webhooks are off they wait for `send_waiting`."""
    if not settings.ENABLE_WEBHOOKS or not deliveries:
        return
    organization = Organization(pk=deliveries[0].organization_id)
    ranks = take_ranks(
        WorkItem,
        organization=organization,
        lane=MAILS,
        priority=Priority.LOW,
        count=len(deliveries),
    )
    work = {
        delivery.pk: WorkItem(
            organization=organization,
            lane=MAILS,
            priority=Priority.LOW,
            fair_rank=rank,
            kind=KIND,
            title=f"Webhook: {delivery.event}",
            payload={"delivery": str(delivery.pk)},
        )
        for delivery, rank in zip(deliveries, ranks, strict=True)
    }
    WorkItem.objects.bulk_create(work.values())
    for delivery in deliveries:
        delivery.work_id = work[delivery.pk].pk
    Delivery.objects.bulk_update(deliveries, ["work_id"])
    ring_on_commit(MAILS, len(deliveries))


def _unfinished(delivery: Delivery) -> WorkItem | None:
    """The work that is to send it, where that has not ended."""
    if delivery.state != DeliveryState.PENDING or delivery.work_id is None:
        return None
    work: WorkItem | None = WorkItem.objects.unfinished().filter(pk=delivery.work_id).first()
    return work


def _enabled(endpoint: Endpoint) -> Endpoint:
    """The endpoint, its row locked. Raises EndpointDisabled."""
    locked = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if not locked.is_enabled:
        raise EndpointDisabled("Enable it first.")
    return locked


def _require_on() -> None:
    if not settings.ENABLE_WEBHOOKS:
        raise WebhooksOff
