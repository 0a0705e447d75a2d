"""What the settings show of an organization: long names, invitations, keys in every state. Made as
`people` are."""

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.models import ApiKey, Invitation, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import (
    add_member,
    create_organization,
    create_user,
    invite,
    make_key,
    revoke_key,
    token_of,
)
from apps.web.mails import address_token

PASSWORD = "a mill by the harbour"
LONG_NAME = ("The-harbour-board-of-trustees-for-the-" + "northern-and-southern-moorings-" * 6)[:200]
LONG_DOMAIN = "very-long-name." * 8 + "example.com"
WEEK = timedelta(days=7)


def make(office: Organization) -> None:
    owner = office.memberships.select_related("user").get(role=Role.OWNER).user
    actor = Actor(user=owner, organization=office, role=Role.OWNER)
    long = create_user(email=f"{'l' * 60}@{LONG_DOMAIN}", password=None, name=LONG_NAME)
    add_member(organization=office, user=long, role=Role.ADMIN)
    _invitations(actor)
    _keys(actor)
    lou = create_user(email="lou@example.com", password=PASSWORD, name="Lou")
    create_organization(name=LONG_NAME, owner=lou)


def links(office: Organization) -> dict[str, str]:
    """What mails lead to, and ids."""
    guest = Invitation.objects.get(organization=office, email="guest@example.com")
    known = Invitation.objects.get(organization=office, email="nora@example.com")
    carla = User.objects.get(email="carla@example.com")
    return {
        "guest": token_of(guest),
        "guest-id": str(guest.pk),
        "known": token_of(known),
        "address": address_token(carla, "carla@example.org"),
        "member": str(Membership.objects.get(organization=office, user=carla).public_id),
        "key": str(ApiKey.objects.get(organization=office, name="Nightly import").pk),
    }


def _invitations(actor: Actor) -> None:
    invite(actor=actor, email="guest@example.com", role=Role.CONTRIBUTOR)
    invite(actor=actor, email="nora@example.com", role=Role.READER)
    late = invite(actor=actor, email=f"{'g' * 60}@{LONG_DOMAIN}", role=Role.OWNER)
    Invitation.objects.filter(pk=late.pk).update(sent_at=F("sent_at") - 2 * WEEK, expires_at=Now())


def _keys(actor: Actor) -> None:
    ends = timezone.now() + 12 * WEEK
    make_key(actor=actor, name="Nightly import", role=Role.CONTRIBUTOR, expires_at=ends)
    gone, _ = make_key(actor=actor, name=LONG_NAME)
    revoke_key(actor=actor, key=gone)
    old, _ = make_key(actor=actor, name="Trial", expires_at=ends)
    ApiKey.objects.filter(pk=old.pk).update(expires_at=Now())
