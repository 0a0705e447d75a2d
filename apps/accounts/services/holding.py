"""Who is a member and with which role changes one at a time in each organization."""

from dataclasses import replace

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden, LastOwner, PersonalOrganization
from apps.accounts.models import Membership, Organization
from apps.accounts.roles import Role, lower_of
from apps.core.errors import NotFound


def hold(organization: Organization) -> Organization:
    """The organization as it is, locked until the transaction ends. Raises NotFound.

    References to it can be made meanwhile: what is submitted does not wait for this.
    """
    rows = Organization.objects.select_for_update(no_key=True)
    found = rows.filter(pk=organization.pk, closed_at=None).first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


def as_now(actor: Actor) -> Actor:
    """`actor` with the role they have by now, their organization held. Raises NotFound or, when
    they are no member any more, Forbidden."""
    organization = hold(actor.organization)
    members = Membership.objects.in_organization(organization).filter(user=actor.user)
    role = members.values_list("role", flat=True).first()
    if role is None:
        raise Forbidden("You are not a member of the organization any more.")
    return replace(actor, organization=organization, role=lower_of(actor.role, Role(role)))


def refuse_personal(organization: Organization, otherwise: str) -> None:
    """Raises PersonalOrganization, which tells `otherwise`, for somebody's own."""
    if organization.personal_of_id is not None:
        raise PersonalOrganization(otherwise)


def keep_an_owner(membership: Membership) -> None:
    """Raises LastOwner if nobody else owns the organization of `membership`, which is held."""
    owners = Membership.objects.filter(organization=membership.organization_id, role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise LastOwner("Make somebody else an owner first: an organization needs one.")
