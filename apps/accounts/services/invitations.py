"""Inviting somebody by their address, whether or not they have an account.

The link that is mailed is signed and holds the invitation's id alone. It is good while the row is
there, its time is not over, and who sent it may still give its role.
"""

from datetime import timedelta

from django.core import signing
from django.db import transaction
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.errors import AlreadyInvited, AlreadyMember, Forbidden, TooMany
from apps.accounts.models import Invitation, Membership, User
from apps.accounts.roles import Role, may_give
from apps.accounts.services.holding import as_now, hold, refuse_personal
from apps.accounts.services.making import add_member, sign_up
from apps.accounts.services.people import valid_address
from apps.audit.services import record
from apps.core.errors import FieldError, NotFound
from apps.core.transactions import repeated

SALT = "docmill.invitation"
GOOD_FOR = timedelta(days=7)
MAX_OPEN = 100
"""Invitations of an organization that nobody accepted yet."""
ALONE = "In a personal organization its person is alone. Make another one to work with others."
NOT_GOOD = "This invitation is not good any more. Ask who sent it for another one."


@repeated
def invite(*, actor: Actor, email: str, role: Role) -> Invitation:
    """Makes an invitation; the mail is the caller's to send.

    Raises Forbidden, InvalidInput for what is no address, AlreadyMember, AlreadyInvited,
    PersonalOrganization or TooMany.
    """
    email = valid_address(email)
    with transaction.atomic():
        now = as_now(actor)
        now.require("create", "members")
        require_giving(now, role)
        refuse_personal(now.organization, ALONE)
        if Membership.objects.in_organization(now.organization).filter(user__email=email).exists():
            raise _about_address(AlreadyMember, f"{email} is a member already.")
        open_ones = Invitation.objects.in_organization(now.organization)
        if open_ones.filter(email=email).exists():
            told = f"{email} is invited already. Send that invitation again, or revoke it."
            raise _about_address(AlreadyInvited, told)
        if open_ones.count() >= MAX_OPEN:
            raise TooMany(f"{MAX_OPEN} invitations are open. Revoke some first.")
        invitation = Invitation.objects.create(
            organization=now.organization,
            email=email,
            role=role,
            invited_by=now.user,
            expires_at=timezone.now() + GOOD_FOR,
        )
        _note(now.user, invitation, "member.invite")
    return invitation


@repeated
def renew_invitation(*, actor: Actor, invitation: Invitation) -> Invitation:
    """Lets it begin anew, in the name of who asks; the mail is the caller's to send. Raises
    NotFound or Forbidden."""
    with transaction.atomic():
        now, found = _held(actor, invitation)
        now.require("create", "members")
        found.invited_by, found.sent_at = now.user, timezone.now()
        found.expires_at = found.sent_at + GOOD_FOR
        found.save(update_fields=["invited_by", "sent_at", "expires_at"])
        _note(now.user, found, "member.invite")
    return found


@repeated
def revoke_invitation(*, actor: Actor, invitation: Invitation) -> None:
    """Its link leads nowhere from now on. Raises NotFound or Forbidden."""
    with transaction.atomic():
        now, found = _held(actor, invitation)
        now.require("delete", "members")
        _note(now.user, found, "member.uninvite")
        found.delete()


@repeated
def end_invitation(*, by: User, invitation: Invitation) -> None:
    """As `revoke_invitation`, for an operator, who need not be a member. Raises NotFound."""
    with transaction.atomic():
        organization = hold(invitation.organization)
        rows = Invitation.objects.in_organization(organization).select_related("organization")
        found = rows.filter(pk=invitation.pk).first()
        if found is None:
            raise NotFound("There is no such invitation.")
        _note(by, found, "member.uninvite")
        found.delete()


@repeated
def accept_invitation(*, user: User, invitation: Invitation) -> Membership:
    """Makes `user` a member. Raises NotFound for an invitation that is not good any more, and
    Forbidden for one that is for another address."""
    with transaction.atomic():
        return _accept(user, invitation)


@repeated
def join_by_invitation(*, invitation: Invitation, password: str, name: str = "") -> User:
    """Makes an account for the address of the invitation, and a member of it: also where nobody
    may sign up.

    Raises NotFound for an invitation that is not good any more, InvalidInput for a bad name or
    password, and EmailTaken.
    """
    with transaction.atomic():
        user = sign_up(email=invitation.email, password=password, name=name)
        _accept(user, invitation)
    return user


def token_of(invitation: Invitation) -> str:
    """What its link holds."""
    return signing.Signer(salt=SALT).sign(invitation.pk.hex)


def invitation_by(token: str) -> Invitation | None:
    """The invitation whose link holds `token`; None for one that is not good, or not any more."""
    try:
        pk = signing.Signer(salt=SALT).unsign(token)
    except signing.BadSignature:
        return None
    found = Invitation.objects.good().select_related("organization", "invited_by").filter(pk=pk)
    invitation = found.first()
    return invitation if invitation and _is_backed(invitation) else None


def require_giving(actor: Actor, role: Role) -> None:
    """Raises Forbidden unless the actor may make somebody a `role`."""
    if not may_give(actor.role, role):
        detail = f"Your role here, {actor.role}, cannot give the role {role}."
        raise Forbidden(detail, errors=[FieldError("role", "forbidden", detail)])


def _accept(user: User, invitation: Invitation) -> Membership:
    organization = hold(invitation.organization)
    found = Invitation.objects.good().filter(pk=invitation.pk).first()
    if found is None or not _is_backed(found):
        raise NotFound(NOT_GOOD)
    if found.email != user.email:
        raise Forbidden(f"The invitation is for {found.email}, and you are {user.email}.")
    known = Membership.objects.in_organization(organization).filter(user=user).first()
    membership = known or add_member(organization=organization, user=user, role=Role(found.role))
    _note(user, found, "member.join")
    found.delete()
    return membership


def _is_backed(invitation: Invitation) -> bool:
    """Whether who sent it may still give its role."""
    members = Membership.objects.filter(
        organization=invitation.organization_id, user=invitation.invited_by_id
    )
    role = members.values_list("role", flat=True).first()
    return role is not None and may_give(Role(role), Role(invitation.role))


def _held(actor: Actor, invitation: Invitation) -> tuple[Actor, Invitation]:
    """Who acts, and the invitation, both as they are now. Raises NotFound, or Forbidden when the
    actor could not have given it."""
    now = as_now(actor)
    found = Invitation.objects.in_organization(now.organization).filter(pk=invitation.pk).first()
    if found is None:
        raise NotFound("There is no such invitation.")
    require_giving(now, Role(found.role))
    return now, found


Refusal = AlreadyInvited | AlreadyMember


def _about_address(kind: type[Refusal], detail: str) -> Refusal:
    return kind(detail, errors=[FieldError("email", kind.code.partition(".")[2], detail)])


def _note(user: User, invitation: Invitation, action: str) -> None:
    record(
        organization=invitation.organization,
        actor=user,
        action=action,
        target="invitation",
        target_id=invitation.pk,
        detail={"email": invitation.email, "role": str(invitation.role)},
    )
