"""Looking up what is of somebody's organization. Anything else is not there."""

from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.actor import Actor
from apps.accounts.models import ApiKey, Invitation, Membership
from apps.audit.exporting import entries_of
from apps.audit.models import EntryQuerySet
from apps.core.errors import NotFound


def member_of(actor: Actor, public_id: UUID) -> Membership:
    """Raises NotFound."""
    members = Membership.objects.in_organization(actor.organization).select_related("user")
    found = members.filter(public_id=public_id).first()
    if found is None:
        raise NotFound("There is no such member.")
    return found


def invitation_of(actor: Actor, pk: UUID) -> Invitation:
    """Raises NotFound."""
    rows = Invitation.objects.in_organization(actor.organization).select_related("invited_by")
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such invitation.")
    return found


def key_of(actor: Actor, pk: UUID) -> ApiKey:
    """Raises NotFound, or Forbidden for one of somebody else's that the actor may not see."""
    rows = ApiKey.objects.in_organization(actor.organization).select_related("user")
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such API key.")
    actor.require("read", "keys", created_by_id=found.user_id)
    return found


def keys_seen_by(actor: Actor) -> QuerySet[ApiKey]:
    """Every key of the organization for who may see them all, else the actor's own."""
    keys = ApiKey.objects.in_organization(actor.organization)
    return keys if actor.may("read", "keys") else keys.filter(user=actor.user)


def entries_seen_by(actor: Actor) -> EntryQuerySet:
    """What of the organization's audit log the actor may see: all, or what they did themselves."""
    entries = entries_of(actor.organization)
    return entries if actor.may("read", "audit") else entries.filter(actor=actor.user)
