"""Who is a member, and with which role. Each holds the organization, so that of two who do
something at the same moment the second sees what the first did."""

from django.db import transaction
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden
from apps.accounts.models import ApiKey, Invitation, Membership, User
from apps.accounts.roles import Role, may_give
from apps.accounts.services.holding import as_now, keep_an_owner, refuse_personal
from apps.accounts.services.passing import heir_of, pass_on
from apps.audit.services import record
from apps.core.errors import NotFound
from apps.core.transactions import repeated

ALONE = "This is a personal organization: its person owns it and is alone in it."


@repeated
def change_role(*, actor: Actor, membership: Membership, role: Role) -> Membership:
    """Gives a member another role. The same role again is nothing.

    Invitations that they may not give any more are revoked. Raises NotFound, Forbidden,
    PersonalOrganization, or LastOwner for the only owner.
    """
    with transaction.atomic():
        now = as_now(actor)
        found = _member(now, membership)
        now.require("update", "members")
        _require_giving(now, Role(found.role), role)
        if found.role == role:
            return found
        refuse_personal(now.organization, ALONE)
        keep_an_owner(found)
        before, found.role = found.role, role
        found.save(update_fields=["role"])
        withdrawn = withdraw_invitations(found, role)
        _note(now.user, found, "member.role", before=before, withdrawn=withdrawn)
    return found


@repeated
def remove_member(*, actor: Actor, membership: Membership) -> None:
    """Takes somebody out of the organization; see `part`. Of oneself it is `leave`.

    Raises NotFound, Forbidden, PersonalOrganization, or LastOwner for the only owner.
    """
    with transaction.atomic():
        now = as_now(actor)
        found = _member(now, membership)
        if found.user_id != now.user.pk:
            now.require("delete", "members")
            _require_giving(now, Role(found.role))
        part(now, found)


@repeated
def leave(*, actor: Actor) -> None:
    """Ends one's own membership; see `part`. Raises Forbidden when it has ended before,
    PersonalOrganization, or LastOwner for the only owner."""
    with transaction.atomic():
        now = as_now(actor)
        members = Membership.objects.in_organization(now.organization)
        part(now, members.select_related("user", "organization").get(user=now.user))


def part(now: Actor, membership: Membership) -> None:
    """Ends a membership; see `hand_over`. The organization is held. Raises PersonalOrganization or
    LastOwner."""
    refuse_personal(now.organization, ALONE)
    keep_an_owner(membership)
    Membership.objects.filter(pk=membership.pk).delete()
    hand_over(membership, by=now.user)


def hand_over(membership: Membership, *, by: User) -> None:
    """What comes of the end of a membership. What its person made passes on to the owner who joined
    first, their keys here are revoked, and so are the invitations that they sent.

    In the transaction that ends it. Without another owner, nothing passes on.
    """
    organization, user = membership.organization, membership.user
    heir = heir_of(membership)
    passed = pass_on(organization=organization, of=user, to=heir) if heir else {}
    keys = ApiKey.objects.in_organization(organization).filter(user=user, revoked_at=None)
    revoked = keys.update(revoked_at=timezone.now())
    withdrawn = withdraw_invitations(membership)
    to = heir.email if heir else None
    detail = {"passed": passed, "passed_to": to, "keys": revoked, "withdrawn": withdrawn}
    action = "member.leave" if user.pk == by.pk else "member.remove"
    _note(by, membership, action, **detail)


def withdraw_invitations(membership: Membership, role: Role | None = None) -> list[str]:
    """Revokes what its person has sent and may not give as a `role` (None: at all); to whom."""
    sent = Invitation.objects.filter(
        organization=membership.organization_id, invited_by=membership.user_id
    )
    gone = [each for each in sent if role is None or not may_give(role, Role(each.role))]
    Invitation.objects.filter(pk__in=[each.pk for each in gone]).delete()
    return sorted(each.email for each in gone)


def _member(now: Actor, membership: Membership) -> Membership:
    members = Membership.objects.in_organization(now.organization).filter(pk=membership.pk)
    found = members.select_related("user", "organization").first()
    if found is None:
        raise NotFound("There is no such member.")
    return found


def _require_giving(now: Actor, *roles: Role) -> None:
    for role in roles:
        if not may_give(now.role, role):
            raise Forbidden(f"Your role here, {now.role}, can neither make nor change an {role}.")


def _note(by: User, membership: Membership, action: str, **detail: object) -> None:
    record(
        organization=membership.organization,
        actor=by,
        action=action,
        target="member",
        target_id=membership.public_id,
        detail={"email": membership.user.email, "role": str(membership.role), **detail},
    )
