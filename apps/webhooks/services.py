"""Endpoints: added, changed, given new secrets, taken away. Each is told to the audit log."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.audit.services import record
from apps.core.events import tell
from apps.core.sealing import Unsealable, seal, unseal
from apps.webhooks.errors import SecretLost, TooManyEndpoints
from apps.webhooks.models import DisabledReason, Endpoint, EndpointState
from apps.webhooks.signing import new_secret

logger = logging.getLogger(__name__)

PURPOSE = "secret of a webhook"
MAX_ENDPOINTS = 10
"""Of one organization: each is told of every event that it wants."""
PREVIOUS_GOOD_FOR = timedelta(hours=24)

_WELL = {"failing_since": None, "failed_in_row": 0, "given_up_in_row": 0, "rests_until": None}


@transaction.atomic
def add_endpoint(
    *, actor: Actor, url: str, events: list[str], name: str = ""
) -> tuple[Endpoint, str]:
    """A new endpoint, and the secret with which its messages are signed.

    `url` and `events` are what `reading.read_endpoint` returned. Raises Forbidden or
    TooManyEndpoints.
    """
    actor.require("create", "webhooks")
    # Of two at the same moment the second counts the first.
    Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)
    if Endpoint.objects.in_organization(actor.organization).count() >= MAX_ENDPOINTS:
        raise TooManyEndpoints(f"There are {MAX_ENDPOINTS} already. Delete one first.")
    secret = new_secret()
    endpoint = Endpoint.objects.create(
        organization=actor.organization,
        url=url,
        events=events,
        name=name,
        sealed_secret=seal(secret, purpose=PURPOSE),
        created_by=actor.user,
    )
    _note(endpoint, actor.user, "webhook.add", {"host": _host(url), "events": events})
    return endpoint, secret


@transaction.atomic
def change_endpoint(*, actor: Actor, endpoint: Endpoint, changes: Mapping[str, Any]) -> Endpoint:
    """Sets what of `url`, `events`, `name` and `enabled` is in `changes`. An endpoint that is
    enabled again begins anew. Raises Forbidden."""
    actor.require("update", "webhooks")
    endpoint = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    columns = {name: value for name, value in changes.items() if name != "enabled"}
    if "enabled" in changes and changes["enabled"] != endpoint.is_enabled:
        columns |= _enabled() if changes["enabled"] else _disabled(DisabledReason.BY_PERSON)
        if changes["enabled"]:
            tell("webhook_enabled", endpoint_id=endpoint.pk)
    if columns:
        _set(endpoint, columns)
        told = dict(changes)
        if "url" in told:
            told["host"] = _host(told.pop("url"))
        _note(endpoint, actor.user, "webhook.change", told)
    return endpoint


@transaction.atomic
def rotate_secret(*, actor: Actor, endpoint: Endpoint) -> tuple[Endpoint, str]:
    """A new secret; for a day messages are signed with the one before as well, so that a receiver
    can change over without losing any. Raises Forbidden."""
    actor.require("update", "webhooks")
    endpoint = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    secret = new_secret()
    columns = {
        "sealed_previous": endpoint.sealed_secret,
        "previous_until": timezone.now() + PREVIOUS_GOOD_FOR,
        "sealed_secret": seal(secret, purpose=PURPOSE),
    }
    _set(endpoint, columns)
    _note(endpoint, actor.user, "webhook.rotate")
    return endpoint, secret


def reveal_secret(*, actor: Actor, endpoint: Endpoint) -> str:
    """The secret, for who may change the endpoint. Raises Forbidden or SecretLost."""
    actor.require("update", "webhooks")
    secret = secrets_of(endpoint)[0]
    _note(endpoint, actor.user, "webhook.reveal")
    return secret


@transaction.atomic
def delete_endpoint(*, actor: Actor, endpoint: Endpoint) -> None:
    """Takes the endpoint away, with its log and what is still to be told to it. Raises
    Forbidden."""
    actor.require("delete", "webhooks")
    locked = Endpoint.objects.select_for_update().filter(pk=endpoint.pk).first()
    if locked is not None:
        # Nobody adds to its log meanwhile: whoever does has its row.
        Endpoint.objects.filter(pk=endpoint.pk).delete()
        tell("webhook_deleted", endpoint_id=endpoint.pk)
        _note(endpoint, actor.user, "webhook.delete", {"host": _host(endpoint.url)})


def disable(endpoint: Endpoint, reason: DisabledReason) -> None:
    """Sends nothing more there, because of how it answers, and tells its people. In the caller's
    transaction, which has the endpoint's row."""
    _set(endpoint, _disabled(reason))
    logger.warning("endpoint %s is disabled: %s", endpoint.pk, reason.label)
    assert endpoint.disabled_at is not None
    tell(
        "webhook_disabled",
        organization_id=endpoint.organization_id,
        endpoint_id=endpoint.pk,
        title=str(endpoint),
        reason=reason.label,
        since=endpoint.disabled_at,
    )
    _note(endpoint, None, "webhook.disable", {"reason": reason.label})


def secrets_of(endpoint: Endpoint) -> list[str]:
    """Those that messages are signed with now, the newest first. Raises SecretLost."""
    sealed = [endpoint.sealed_secret]
    if endpoint.has_previous(timezone.now()):
        sealed.append(endpoint.sealed_previous)
    try:
        return [unseal(each, purpose=PURPOSE) for each in sealed]
    except Unsealable:
        told = "The server's secret key has changed. Make a new secret for the endpoint."
        raise SecretLost(told) from None


def mark_well(endpoint: Endpoint) -> None:
    """It took a message."""
    if endpoint.failed_in_row or endpoint.given_up_in_row:
        _set(endpoint, _WELL)


def _enabled() -> dict[str, Any]:
    return {
        "state": EndpointState.ENABLED,
        "disabled_reason": "",
        "disabled_at": None,
        **_WELL,
    }


def _disabled(reason: DisabledReason) -> dict[str, Any]:
    return {
        "state": EndpointState.DISABLED,
        "disabled_reason": reason,
        "disabled_at": timezone.now(),
    }


def _host(url: str) -> str:
    """What of an address the audit log tells; the rest may be a password."""
    return urlsplit(url).hostname or ""


def _set(endpoint: Endpoint, columns: Mapping[str, Any]) -> None:
    for name, value in columns.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(columns))


def _note(
    endpoint: Endpoint, actor: User | None, action: str, detail: Mapping[str, Any] | None = None
) -> None:
    record(
        organization=endpoint.organization,
        actor=actor,
        action=action,
        target="webhook",
        target_id=endpoint.pk,
        detail=detail,
    )
