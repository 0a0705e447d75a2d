"""Finding an endpoint or a message for whoever asks: outside their organization there is none."""

from uuid import UUID

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.webhooks.models import Delivery, Endpoint, EndpointQuerySet


def endpoints_of(actor: Actor) -> EndpointQuerySet:
    """Those that the actor may read: all of the organization, or those that they added."""
    mine = Endpoint.objects.in_organization(actor.organization)
    return mine if actor.may("read", "webhooks") else mine.filter(created_by=actor.user)


def endpoint_of(actor: Actor, endpoint_id: UUID) -> Endpoint:
    """The endpoint, with who added it. Raises NotFound outside the actor's organization, and
    Forbidden."""
    mine = Endpoint.objects.in_organization(actor.organization)
    found = mine.select_related("created_by", "organization").filter(pk=endpoint_id).first()
    if found is None:
        raise NotFound("There is no such endpoint.")
    actor.require("read", "webhooks", created_by_id=found.created_by_id)
    return found


def delivery_of(actor: Actor, delivery_id: UUID) -> Delivery:
    """The message, with its endpoint. Raises NotFound outside the actor's organization, and
    Forbidden."""
    mine = Delivery.objects.in_organization(actor.organization)
    found = mine.select_related("endpoint").filter(pk=delivery_id).first()
    if found is None:
        raise NotFound("There is no such message.")
    actor.require("read", "webhooks", created_by_id=found.endpoint.created_by_id)
    return found
