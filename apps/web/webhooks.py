"""The pages of webhooks: where the organization is told of what happens, and what came of it."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.core.errors import DocmillError, InvalidInput
from apps.core.pagination import CursorPagination
from apps.ratelimits.decorators import limited
from apps.web.access import Page, members_only
from apps.web.job import asking
from apps.web.questions import Question
from apps.webhooks.changes import read_change, read_new
from apps.webhooks.errors import EndpointDisabled, SecretLost, TooManyEndpoints, WebhooksOff
from apps.webhooks.events import EVENTS, USUAL
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.outbox import redeliver, send_test
from apps.webhooks.reading import delivery_of, endpoint_of
from apps.webhooks.services import (
    MAX_ENDPOINTS,
    add_endpoint,
    change_endpoint,
    delete_endpoint,
    reveal_secret,
    rotate_secret,
)

CONFLICTS = (EndpointDisabled, SecretLost, TooManyEndpoints)
"""What is said on the page that somebody comes back to."""


class Log(CursorPagination):
    def get_page_size(self, request: Request) -> int:
        return 25


def where_on(view: Page[Any]) -> Callable[..., HttpResponse]:
    """For members, while webhooks are on. Raises WebhooksOff."""

    def answer(request: HttpRequest, actor: Actor, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.ENABLE_WEBHOOKS:
            raise WebhooksOff
        return view(request, actor, *args, **kwargs)

    return members_only(answer)


@require_safe
@limited("api")
@where_on
def webhooks(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The list; there are few of them."""
    actor.require("update", "webhooks")
    mine = Endpoint.objects.in_organization(actor.organization).order_by("-created_at", "-pk")
    context = {"endpoints": mine, "is_full": mine.count() >= MAX_ENDPOINTS, "most": MAX_ENDPOINTS}
    return render(request, "web/webhooks.html", context)


@asking
@limited("api")
@where_on
def new(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The form, and what it sends."""
    actor.require("create", "webhooks")
    if request.method != "POST":
        return _form(request, {"events": USUAL})
    try:
        endpoint, _ = add_endpoint(actor=actor, **read_new(_fields(request)))
    except InvalidInput as refusal:
        return _form(request, _fields(request), refusal)
    except TooManyEndpoints as refusal:
        messages.error(request, refusal.detail)
        return redirect("web:webhooks")
    messages.success(request, "Added. Its secret, which the receiver needs, is under Show secret.")
    return redirect("web:webhook", endpoint.pk)


@require_safe
@limited("api")
@where_on
def webhook(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """The page of one, with its log."""
    return _page(request, _to_update(actor, endpoint_id))


@asking
@limited("api")
@where_on
def edit(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """The form with what there is, and what it sends."""
    found = _to_update(actor, endpoint_id)
    if request.method != "POST":
        known = {"url": found.url, "name": found.name, "events": found.events}
        return _form(request, known, endpoint=found)
    try:
        change_endpoint(actor=actor, endpoint=found, changes=read_change(_fields(request)))
    except InvalidInput as refusal:
        return _form(request, _fields(request), refusal, endpoint=found)
    messages.success(request, "Saved.")
    return redirect("web:webhook", found.pk)


@require_POST
@limited("api")
@where_on
def test(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    found = _to_update(actor, endpoint_id)
    told = "A test is on its way. Load the page again to see what came of it."
    return _done(request, found, lambda: send_test(actor=actor, endpoint=found), told)


@require_POST
@limited("api")
@where_on
def rotate(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    found = _to_update(actor, endpoint_id)
    told = "There is a new secret. For 24 hours messages are signed with the old one as well."
    return _done(request, found, lambda: rotate_secret(actor=actor, endpoint=found), told)


@require_POST
@limited("api")
@where_on
def secret(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """The page with the secret on it, once. Raises NotFound or Forbidden."""
    found = _to_update(actor, endpoint_id)
    try:
        return _page(request, found, secret=reveal_secret(actor=actor, endpoint=found))
    except SecretLost as lost:
        messages.error(request, lost.detail)
        return redirect("web:webhook", found.pk)


@require_POST
@limited("api")
@where_on
def enable(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    return _switched(request, actor, endpoint_id, True, "It is told of what happens from now on.")


@require_POST
@limited("api")
@where_on
def disable(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    told = "Disabled: it is told nothing until somebody enables it."
    return _switched(request, actor, endpoint_id, False, told)


@asking
@limited("api")
@where_on
def delete(request: HttpRequest, actor: Actor, endpoint_id: UUID) -> HttpResponse:
    """Asks, then deletes and goes to the list. Raises NotFound or Forbidden."""
    found = _to_update(actor, endpoint_id)
    if request.method == "POST":
        delete_endpoint(actor=actor, endpoint=found)
        messages.success(request, f"Deleted: {found}.")
        return redirect("web:webhooks")
    return render(
        request, "web/webhook_confirm.html", {"endpoint": found, "question": _question(found)}
    )


@require_safe
@limited("api")
@where_on
def delivery(request: HttpRequest, actor: Actor, delivery_id: UUID) -> HttpResponse:
    """One message and every try at it. Raises NotFound or Forbidden."""
    found = _message(actor, delivery_id)
    context = {
        "delivery": found,
        "endpoint": found.endpoint,
        "tries": found.latest_tries(),
        "body": json.dumps(json.loads(found.body), indent=2, ensure_ascii=False),
    }
    return render(request, "web/webhook_delivery.html", context)


@require_POST
@limited("api")
@where_on
def again(request: HttpRequest, actor: Actor, delivery_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    found = _message(actor, delivery_id)
    try:
        redeliver(actor=actor, delivery=found)
        messages.success(request, "It is sent again. Load the page again to see what came of it.")
    except EndpointDisabled as refusal:
        messages.error(request, _said(refusal))
    return redirect("web:webhook-delivery", found.pk)


def _to_update(actor: Actor, endpoint_id: UUID) -> Endpoint:
    found = endpoint_of(actor, endpoint_id)
    actor.require("update", "webhooks")
    return found


def _message(actor: Actor, delivery_id: UUID) -> Delivery:
    found = delivery_of(actor, delivery_id)
    actor.require("update", "webhooks")
    return found


def _page(request: HttpRequest, found: Endpoint, *, secret: str = "") -> HttpResponse:
    log = Log()
    here = reverse("web:webhook", args=[found.pk])
    sent: QuerySet[Delivery] = Delivery.objects.filter(endpoint=found)
    try:
        shown = log.paginate_queryset(sent, Request(request)) or []
    except InvalidInput:
        return redirect(here)
    log.base_url = here
    context = {
        "endpoint": found,
        "events": [(event, EVENTS[event]) for event in found.events if event in EVENTS],
        "deliveries": shown,
        "newer": log.get_previous_link() or "",
        "older": log.get_next_link() or "",
        "here": here,
        "secret": secret,
        "question": _question(found),
    }
    return render(request, "web/webhook.html", context)


def _form(
    request: HttpRequest,
    given: dict[str, Any],
    refusal: InvalidInput | None = None,
    *,
    endpoint: Endpoint | None = None,
) -> HttpResponse:
    problems = {each.field: each.detail for each in refusal.errors} if refusal else {}
    events = [(event, about, event in given.get("events", ())) for event, about in EVENTS.items()]
    context = {"given": given, "events": events, "problems": problems, "endpoint": endpoint}
    status = InvalidInput.status if refusal else 200
    return render(request, "web/webhook_form.html", context, status=status)


def _fields(request: HttpRequest) -> dict[str, Any]:
    return {
        "url": request.POST.get("url", ""),
        "name": request.POST.get("name", ""),
        "events": request.POST.getlist("events"),
    }


def _done(
    request: HttpRequest, found: Endpoint, change: Callable[[], object], told: str
) -> HttpResponse:
    try:
        change()
        messages.success(request, told)
    except CONFLICTS as refusal:
        messages.error(request, _said(refusal))
    return redirect("web:webhook", found.pk)


def _said(refusal: DocmillError) -> str:
    return f"{refusal.title}. {refusal.detail}"


def _switched(
    request: HttpRequest, actor: Actor, endpoint_id: UUID, enabled: bool, told: str
) -> HttpResponse:
    found = _to_update(actor, endpoint_id)
    changes = {"enabled": enabled}
    return _done(
        request,
        found,
        lambda: change_endpoint(actor=actor, endpoint=found, changes=changes),
        told,
    )


def _question(found: Endpoint) -> Question:
    return Question(
        name="delete",
        heading="Delete this webhook?",
        text=f"{found}: its log and what is still to be sent to it go with it, for good.",
        yes="Delete it",
        no="Keep it",
        url=reverse("web:webhook-delete", args=[found.pk]),
        back=reverse("web:webhook", args=[found.pk]),
        is_danger=True,
    )
