"""Organizations, as people make, name and close them."""

from django.db import transaction

from apps.accounts.actor import Actor
from apps.accounts.errors import TooMany
from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services.holding import as_now
from apps.accounts.services.making import create_organization, valid_name
from apps.audit.services import record
from apps.core.transactions import repeated

MAX_OWNED = 50
"""Organizations that one person owns, their personal one among them."""


@repeated
def found_organization(*, user: User, name: str) -> Organization:
    """Makes another organization, which `user` owns. Raises InvalidInput for a bad name, or
    TooMany."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one after the other
        if Membership.objects.filter(user=user, role=Role.OWNER).count() >= MAX_OWNED:
            raise TooMany(f"You own {MAX_OWNED} organizations. Leave or delete some first.")
        organization = create_organization(name=name, owner=user)
        _note(user, organization, "organization.create", name=organization.name)
    return organization


@repeated
def rename_organization(*, actor: Actor, name: str) -> Organization:
    """Raises Forbidden, or InvalidInput for a bad name."""
    name = valid_name(name)
    with transaction.atomic():
        now = as_now(actor)
        now.require("update", "organization")
        organization, before = now.organization, now.organization.name
        if name != before:
            organization.name = name
            organization.save(update_fields=["name"])
            _note(now.user, organization, "organization.rename", name=name, before=before)
    return organization


def _note(user: User, organization: Organization, action: str, **detail: object) -> None:
    record(
        organization=organization,
        actor=user,
        action=action,
        target="organization",
        target_id=organization.pk,
        detail=detail,
    )
