"""Endpoints and messages in the admin: what was sent where, what came of it, and once more."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.actor import Actor
from apps.accounts.models import User
from apps.core.admin import (
    LinkedFilter,
    MadeFilter,
    link_to,
    link_to_list,
    one_of,
    state_of,
)
from apps.core.admin_actions import ServiceAction, ServiceAdmin, Skipped
from apps.webhooks.events import EVENTS, TEST
from apps.webhooks.models import (
    Delivery,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointState,
)
from apps.webhooks.outbox import redeliver
from apps.webhooks.services import change_endpoint, delete_endpoint


def _disable(user: User, endpoint: Endpoint) -> None:
    if not endpoint.is_enabled:
        raise Skipped("It is disabled already.")
    actor = Actor.operator(user, endpoint.organization)
    change_endpoint(actor=actor, endpoint=endpoint, changes={"enabled": False})


def _delete(user: User, endpoint: Endpoint) -> None:
    delete_endpoint(actor=Actor.operator(user, endpoint.organization), endpoint=endpoint)


@admin.register(Endpoint)
class EndpointAdmin(ServiceAdmin):
    """Without secrets, which are the organization's."""

    list_display = (
        "endpoint",
        "state_shown",
        "organization_link",
        "failing_since",
        "failed_in_row",
        "created_at",
        "messages_link",
    )
    list_select_related = ("organization",)
    list_filter = (
        one_of("state", EndpointState.values),
        one_of("disabled_reason", DisabledReason.choices),
        MadeFilter,
        ("organization", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name", "url")
    id_lookups = ("pk", "organization")
    search_help_text = "The id of an endpoint or organization, or a part of a name or address."
    fieldsets = (
        (None, {"fields": ("id", "name", "url", "events_shown", "organization_link")}),
        ("State", {"fields": ("state_shown", "disabled_reason", "disabled_at")}),
        ("Failures", {"fields": ("failing_since", "failed_in_row", "given_up_in_row")}),
        ("Secret", {"fields": ("previous_until",)}),
        ("Made", {"fields": ("created_by", "created_at", "messages_link")}),
    )
    service_actions = (
        ServiceAction(
            name="disable",
            label="Disable",
            done="Disabled",
            effect="Nothing is sent there until somebody enables it; what waits is given up.",
            permission="webhooks.change_endpoint",
            perform=_disable,
            fits=lambda endpoint: endpoint.is_enabled,
        ),
        ServiceAction(
            name="delete",
            label="Delete",
            done="Deleted",
            effect="The endpoint, its log, and what is still to be sent to it are removed.",
            permission="webhooks.delete_endpoint",
            perform=_delete,
            fits=lambda _: True,
            deletes=True,
        ),
    )

    @admin.display(description="endpoint")
    def endpoint(self, endpoint: Endpoint) -> str:
        return str(endpoint)

    @admin.display(description="state")
    def state_shown(self, endpoint: Endpoint) -> SafeString:
        return state_of(endpoint.state)

    @admin.display(description="organization")
    def organization_link(self, endpoint: Endpoint) -> SafeString | str:
        return link_to(endpoint.organization)

    @admin.display(description="told of")
    def events_shown(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.events)

    @admin.display(description="messages")
    def messages_link(self, endpoint: Endpoint) -> SafeString:
        return link_to_list(Delivery, "Messages", endpoint=endpoint.pk)


def _again(user: User, delivery: Delivery) -> None:
    redeliver(actor=Actor.operator(user, delivery.organization), delivery=delivery)


@admin.register(Delivery)
class DeliveryAdmin(ServiceAdmin):
    list_display = (
        "event",
        "state_shown",
        "endpoint_link",
        "organization_link",
        "tries",
        "status",
        "error",
        "created_at",
        "ended_at",
    )
    list_select_related = ("endpoint", "organization")
    list_filter = (
        one_of("state", DeliveryState.values),
        one_of("event", (*EVENTS, TEST)),
        MadeFilter,
        ("endpoint", LinkedFilter),
        ("organization", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    id_lookups = ("pk", "event_id", "endpoint", "organization")
    search_help_text = "The id of a message, event, endpoint or organization."
    fieldsets = (
        (None, {"fields": ("event", "state_shown", "endpoint_link", "organization_link")}),
        ("What came of it", {"fields": ("tries", "status", "error", "ended_at", "log_shown")}),
        ("What is sent", {"fields": ("event_id", "created_at", "body")}),
        ("Queue", {"fields": ("id", "work_id")}),
    )
    service_actions = (
        ServiceAction(
            name="redeliver",
            label="Send again",
            done="In line again",
            effect="The message is sent again with the id that it had; one that waits for its next "
            "try is tried at once. Messages to disabled endpoints are skipped.",
            permission="webhooks.change_delivery",
            perform=_again,
            fits=lambda delivery: delivery.endpoint.is_enabled,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("endpoint", "organization")

    @admin.display(description="state")
    def state_shown(self, delivery: Delivery) -> SafeString:
        return state_of(delivery.state)

    @admin.display(description="endpoint")
    def endpoint_link(self, delivery: Delivery) -> SafeString | str:
        return link_to(delivery.endpoint)

    @admin.display(description="organization")
    def organization_link(self, delivery: Delivery) -> SafeString | str:
        return link_to(delivery.organization)

    @admin.display(description="tries")
    def log_shown(self, delivery: Delivery) -> SafeString | str:
        rows = [
            (
                f"No. {each.number}",
                each.started_at.strftime("%Y-%m-%d %H:%M:%S"),
                f"{each.duration_ms} ms",
                each.status or "no answer",
                each.error,
            )
            for each in delivery.latest_tries()
        ]
        if not rows:
            return "none yet"
        cells = "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>"
        return format_html("<table>{}</table>", format_html_join("", cells, rows))
