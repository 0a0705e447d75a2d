"""What the pages of the browsable API offer to send, and how their forms are read."""

from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict
from django.urls import reverse
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.names import NAME_MAX_LENGTH
from apps.core.addresses import MAX_URL
from apps.core.browsable import Offer
from apps.webhooks.events import EVENTS, USUAL
from apps.webhooks.reading import endpoint_of

BOOLEANS = {"true": True, "false": False}


class EndpointForm(forms.Form):
    url = forms.CharField(max_length=MAX_URL, help_text="https:// or http://, public.")
    name = forms.CharField(max_length=NAME_MAX_LENGTH, required=False)
    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENTS],
        initial=USUAL,
        widget=forms.CheckboxSelectMultiple,
    )


class EnabledForm(forms.Form):
    enabled = forms.ChoiceField(choices=[("true", "Enabled"), ("false", "Disabled")])


def fields_of(request: Request) -> Any:
    """What was sent, of a form as JSON would have it: lists where there may be several values."""
    given = request.data
    if not isinstance(given, QueryDict):
        return given
    fields: dict[str, Any] = given.dict()
    if "events" in given:
        fields["events"] = given.getlist("events")
    if "enabled" in given:
        fields["enabled"] = BOOLEANS.get(str(given["enabled"]), given["enabled"])
    fields.pop("csrfmiddlewaretoken", None)
    return fields


def of_adding(request: Request) -> list[Offer]:
    if not Actor.of_request(request).may("create", "webhooks"):
        return []
    return [Offer("Add an endpoint", form=EndpointForm())]


def of_endpoint(request: Request, endpoint_id: UUID) -> list[Offer]:
    actor = Actor.of_request(request)
    endpoint = endpoint_of(actor, endpoint_id)
    if not actor.may("update", "webhooks"):
        return []
    other = EnabledForm(initial={"enabled": "false" if endpoint.is_enabled else "true"})
    acts = [
        Offer(label, url=reverse(f"webhook-{name}", args=[endpoint_id]))
        for name, label in (("test", "Send a test"), ("rotate", "Make a new secret"))
    ]
    warning = "Its log and what is still to be sent to it go with it."
    return [Offer("Change", "PATCH", form=other), *acts, Offer("Delete", "DELETE", warning=warning)]


def of_doing(request: Request, endpoint_id: UUID, offer: Offer) -> list[Offer]:
    """The one of an address that does one thing."""
    actor = Actor.of_request(request)
    endpoint_of(actor, endpoint_id)
    return [offer] if actor.may("update", "webhooks") else []
