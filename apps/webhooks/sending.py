"""Sending one message: a piece of background work for each, tried again as it says in
WEBHOOK_RETRY_SECONDS.

A worker may die between the receiver's answer and our note of it; the message is then sent again
with the same id. After a noted success it is not.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.core.metrics import CALL_SECONDS, OK
from apps.core.outgoing import Answer, Refused, Unreached, send
from apps.queue.handlers import Control, RunFailed, RunStopped
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.webhooks import patience
from apps.webhooks.errors import SecretLost
from apps.webhooks.models import (
    HEAD_BYTES,
    Delivery,
    DeliveryState,
    DisabledReason,
    Endpoint,
    Try,
)
from apps.webhooks.services import disable, mark_well, secrets_of
from apps.webhooks.signing import signed_headers

logger = structlog.stdlib.get_logger(__name__)

PROBE_SECONDS = 3
"""How much longer than a try may take an endpoint that failed is left to the one that tries it."""

REFUSED = "webhook.refused"
LASTING = frozenset({REFUSED, SecretLost.code})
"""What only a person can change."""


@dataclass(frozen=True)
class Outcome:
    """What came of a try. `status` is None where there was no answer."""

    started_at: datetime
    duration_ms: int
    status: int | None = None
    error: str = ""
    code: str = ""
    answer: str = ""
    asked_seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.code

    @property
    def may_pass(self) -> bool:
        """Whether it may be otherwise the next time."""
        return self.code not in LASTING and self.status != patience.GONE


def deliver(item: WorkItem, control: Control) -> dict[str, Any]:
    """Tries to tell the endpoint once. Raises RunFailed until it is told, RunStopped."""
    delivery = _to_send(item)
    if delivery is None:
        return {}
    if not delivery.endpoint.is_enabled:
        _give_up(delivery, "The endpoint is disabled.")
        return {"state": DeliveryState.FAILED}
    if control.should_stop():
        raise RunStopped
    _wait_for_turn(delivery.endpoint)
    outcome = attempt(delivery)
    waits = tuple(settings.WEBHOOK_RETRY_SECONDS)
    is_last = item.failures >= len(waits) or not outcome.may_pass
    note(delivery, outcome, is_last=is_last)
    if outcome.is_good:
        return {"status": outcome.status}
    kind = FailureClass.TRANSIENT if outcome.may_pass else FailureClass.PERMANENT
    raise RunFailed(
        Failure(kind, outcome.code, outcome.error, retry_after=outcome.asked_seconds, waits=waits)
    )


def attempt(delivery: Delivery) -> Outcome:
    """Sends it, outside of any transaction."""
    started, began = timezone.now(), time.monotonic()
    body = delivery.body.encode()
    told: dict[str, Any] = {}
    try:
        signed = signed_headers(
            secrets_of(delivery.endpoint),
            message_id=str(delivery.event_id),
            at=started,
            body=body,
        )
        answer = send(
            "POST",
            delivery.endpoint.url,
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"Docmill/{settings.VERSION}",
                **signed,
            },
            content=body,
            seconds=settings.WEBHOOK_TIMEOUT_SECONDS,
            head_bytes=HEAD_BYTES,
        )
    except SecretLost as lost:
        told = {"code": lost.code, "error": lost.detail}
    except Refused as refused:
        told = {"code": REFUSED, "error": str(refused)}
    except Unreached as unreached:
        told = {"code": "webhook.unreached", "error": f"{unreached.reason}: {unreached}"}
    else:
        told = _told(answer, started)
    seconds = time.monotonic() - began
    milliseconds = round(seconds * 1000)
    outcome = Outcome(started, milliseconds, **told)
    CALL_SECONDS.labels("webhook", outcome.code.partition(".")[2] or OK).observe(seconds)
    # Neither the address, which may have a secret in it, nor what was answered.
    logger.log(
        logging.INFO if outcome.is_good else logging.WARNING,
        "external call",
        provider="webhook",
        endpoint=str(delivery.endpoint_id),
        delivery=str(delivery.pk),
        status=outcome.status,
        code=outcome.code,
        latency_ms=milliseconds,
    )
    return outcome


@transaction.atomic
def note(delivery: Delivery, outcome: Outcome, *, is_last: bool) -> None:
    """Writes the try down, and what it means for the message and its endpoint.

    Whoever has the work by now: what was sent was sent. The endpoint comes before the message, as
    everywhere. Either may have been deleted meanwhile.
    """
    found = _held(delivery, with_all=not outcome.is_good)
    row = Delivery.objects.select_for_update(no_key=True).filter(pk=delivery.pk).first()
    if found is None or row is None:
        return
    row.tries += 1
    Try.objects.create(
        delivery=row,
        number=row.tries,
        started_at=outcome.started_at,
        duration_ms=outcome.duration_ms,
        status=outcome.status,
        error=outcome.error[:300],
        answer=outcome.answer,
    )
    _move(row, outcome, is_last=is_last)
    if outcome.is_good:
        mark_well(found)
    else:
        _mark_failed(found, outcome, is_last=is_last)


def _held(delivery: Delivery, *, with_all: bool) -> Endpoint | None:
    """The delivery's endpoint, its row locked. With all that its organization has, in the order of
    who tells them something, where the end may be that they are told of this one."""
    mine = Endpoint.objects.select_for_update(of=("self",), no_key=True)
    if not with_all:
        return mine.select_related("organization").filter(pk=delivery.endpoint_id).first()
    rows = mine.filter(organization=delivery.organization_id).order_by("pk")
    held = {each.pk: each for each in rows.select_related("organization")}
    return held.get(delivery.endpoint_id)


def _move(row: Delivery, outcome: Outcome, *, is_last: bool) -> None:
    """A message that was taken stays so, whatever came of a try that somebody else made."""
    if row.state != DeliveryState.DELIVERED:
        row.status, row.error = outcome.status, outcome.error[:300]
        is_over = outcome.is_good or is_last
        ended = DeliveryState.DELIVERED if outcome.is_good else DeliveryState.FAILED
        row.state = ended if is_over else DeliveryState.PENDING
        row.ended_at = timezone.now() if is_over else None
    row.save(update_fields=["tries", "status", "error", "state", "ended_at"])


def _mark_failed(endpoint: Endpoint, outcome: Outcome, *, is_last: bool) -> None:
    now = timezone.now()
    endpoint.failed_in_row += 1
    endpoint.given_up_in_row += is_last
    endpoint.failing_since = endpoint.failing_since or now
    rest = patience.rest_seconds(endpoint.failed_in_row, settings.WEBHOOK_RETRY_SECONDS)
    asked = min(outcome.asked_seconds, patience.MAX_REST_SECONDS)
    endpoint.rests_until = now + timedelta(seconds=max(rest, asked))
    endpoint.save(
        update_fields=["failed_in_row", "given_up_in_row", "failing_since", "rests_until"]
    )
    if not endpoint.is_enabled:
        return
    if outcome.status == patience.GONE:
        disable(endpoint, DisabledReason.GONE)
    elif is_last and patience.is_lost(
        failing_since=endpoint.failing_since,
        given_up_in_row=endpoint.given_up_in_row,
        now=now,
    ):
        disable(endpoint, DisabledReason.FAILING)


def _to_send(item: WorkItem) -> Delivery | None:
    """What the work is about; None where there is nothing left to do, or not now. Work that an
    operator goes on with is about a message that has failed."""
    open_states = [DeliveryState.PENDING, *([DeliveryState.FAILED] if item.run > 1 else [])]
    mine = Delivery.objects.filter(pk=item.payload["delivery"], work_id=item.pk)
    found = mine.filter(state__in=open_states).select_related("endpoint").first()
    return found if settings.ENABLE_WEBHOOKS else None


def _wait_for_turn(endpoint: Endpoint) -> None:
    """Of all that waits for an endpoint that failed lately, one is tried at a time. Raises
    RunFailed for the others, which costs them no try."""
    if not endpoint.failed_in_row:
        return
    now = timezone.now()
    until = now + timedelta(seconds=settings.WEBHOOK_TIMEOUT_SECONDS + PROBE_SECONDS)
    rested = Q(rests_until=None) | Q(rests_until__lte=now)
    mine = Endpoint.objects.filter(rested, pk=endpoint.pk, failed_in_row__gt=0)
    if mine.update(rests_until=until):
        return
    rests = Endpoint.objects.filter(pk=endpoint.pk, failed_in_row__gt=0)
    moment = rests.values_list("rests_until", flat=True).first()
    if moment is None:
        return  # it is well again, or gone
    seconds = max((moment - now).total_seconds(), 0.0)
    told = "The endpoint failed lately; another message is tried first."
    raise RunFailed(
        Failure(FailureClass.RATE_LIMITED, "webhook.resting", told, retry_after=seconds)
    )


@transaction.atomic
def _give_up(delivery: Delivery, why: str) -> None:
    Delivery.objects.pending().filter(pk=delivery.pk).update(
        state=DeliveryState.FAILED, error=why, ended_at=timezone.now()
    )


def _told(answer: Answer, now: datetime) -> dict[str, Any]:
    """The fields of an outcome that an answer has."""
    head = answer.head.decode(errors="replace").replace("\x00", "�")
    told: dict[str, Any] = {"status": answer.status, "answer": head}
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return told
    hint = ""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        hint = " Redirects are not followed: give the address that it leads to."
    asked = patience.asked_wait(answer.headers.get("retry-after", ""), now)
    told |= {"code": "webhook.status", "error": f"It answered {answer.status}.{hint}"}
    return told | {"asked_seconds": asked}
