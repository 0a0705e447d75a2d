"""The end of organizations and accounts.

An organization is closed at once: nobody is a member any more, so it is there for nobody. What it
owns, which may be much, is removed in the background, and the row goes last.
"""

import logging

from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.belongings import belongings
from apps.accounts.errors import StillBusy
from apps.accounts.models import ApiKey, Invitation, Membership, Organization, User, UserManager
from apps.accounts.names import one_line
from apps.accounts.roles import Role
from apps.accounts.services.holding import as_now, hold, refuse_personal
from apps.accounts.services.members import part
from apps.audit.services import record
from apps.core.errors import FieldError, InvalidInput
from apps.core.transactions import repeated

logger = logging.getLogger(__name__)

PERSONAL = "It came with your account and goes when you delete that."
STAFF = (
    "You run this installation: its history names you. Another operator can make you inactive, or "
    "delete you in the admin."
)


@repeated
def close_organization(*, actor: Actor, name: str) -> None:
    """Deletes the actor's organization with all that is in it. `name` is its name, typed once more.

    Raises Forbidden, InvalidInput for another name, PersonalOrganization, or StillBusy.
    """
    actor.require_person()
    with transaction.atomic():
        now = as_now(actor)
        now.require("delete", "organization")
        _check_typed(one_line(name), now.organization.name, "name", "The name is another one.")
        refuse_personal(now.organization, PERSONAL)
        _close(now.organization, now.user)


@repeated
def delete_account(*, user: User, email: str) -> None:
    """Deletes `user`, and every organization that nobody else is a member of. What they made in
    others passes on, as when they leave. `email` is their address, typed once more.

    Raises InvalidInput for another address, or StillBusy: while a job of theirs alone is not
    finished, while others need them as the only owner, and for who runs the installation.
    """
    _check_typed(UserManager.normalize_email(email), user.email, "email", "That is not yours.")
    if user.is_staff or LogEntry.objects.filter(user=user).exists():
        raise StillBusy(STAFF)
    with transaction.atomic():
        # In one order, as everybody holds several and adds to their logs.
        mine = Membership.objects.filter(user=user).select_related("user", "organization")
        for membership in mine.order_by("organization_id"):
            organization = hold(membership.organization)
            if Membership.objects.in_organization(organization).exclude(user=user).exists():
                _depart(organization, membership)
            else:
                _close(organization, user)
        User.objects.get(pk=user.pk).delete()
        record(
            organization=None, actor=user, action="user.delete", target="user", target_id=user.pk
        )


def remove_closed() -> int:
    """Removes what closed organizations own, then their rows; how many went. What cannot go yet is
    left for the next time."""
    gone = 0
    for organization in Organization.objects.exclude(closed_at=None).order_by("closed_at"):
        try:
            for each in belongings():
                each.remove(organization)
            organization.delete()
        except ProtectedError as error:
            left = sorted({row._meta.label for row in error.protected_objects})
            logger.warning("organization %s is closed and still owns %s", organization.pk, left)
            continue
        except (OSError, DatabaseError):  # the others are not to wait for it
            logger.exception("organization %s is closed and cannot be removed", organization.pk)
            continue
        gone += 1
    return gone


def _depart(organization: Organization, membership: Membership) -> None:
    owners = Membership.objects.in_organization(organization).filter(role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise StillBusy(
            f"You are the only owner of {organization.name}, and others are members. Make somebody "
            "else an owner there first, or delete that organization."
        )
    part(Actor(membership.user, organization, Role(membership.role)), membership)


def _close(organization: Organization, by: User) -> None:
    """Closes an organization that is held. Raises StillBusy.

    What is submitted at the same moment is not seen here. It ends in a closed organization, and is
    removed with it then.
    """
    for each in belongings():
        if hindrance := each.hindrance(organization):
            raise StillBusy(f"{organization.name}: {hindrance}")
    now = timezone.now()
    Membership.objects.in_organization(organization).delete()
    Invitation.objects.in_organization(organization).delete()
    ApiKey.objects.in_organization(organization).filter(revoked_at=None).update(revoked_at=now)
    organization.closed_at, organization.personal_of = now, None
    organization.save(update_fields=["closed_at", "personal_of"])
    record(
        organization=organization,
        actor=by,
        action="organization.delete",
        target="organization",
        target_id=organization.pk,
        detail={"name": organization.name},
    )


def _check_typed(typed: str, wanted: str, field: str, detail: str) -> None:
    if typed != wanted:
        raise InvalidInput(detail, errors=[FieldError(field, "mismatch", detail)])
