"""Invitations: who sends them, for how long they are good, and who accepts them."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.utils import timezone

from apps.accounts.errors import AlreadyInvited, AlreadyMember, EmailTaken, Forbidden, TooMany
from apps.accounts.models import Invitation, Membership, Organization, User
from apps.accounts.roles import Role, may_give
from apps.accounts.services import (
    accept_invitation,
    add_member,
    create_user,
    invitation_by,
    invite,
    join_by_invitation,
    leave,
    remove_member,
    renew_invitation,
    revoke_invitation,
    token_of,
)
from apps.accounts.services import invitations as invitations_module
from apps.audit.models import AuditEntry
from apps.core.errors import InvalidInput, NotFound
from tests.accounts.people import PASSWORD, actor_of, join, membership_of, roles_in
from tests.batches import together

pytestmark = pytest.mark.django_db

NEW = "new@example.com"


@pytest.fixture
def invitation(acme: Organization, alice: User) -> Invitation:
    return invite(actor=actor_of(acme, alice), email=f" {NEW.upper()} ", role=Role.ADMIN)


@pytest.mark.parametrize("giver", list(Role))
def test_who_invites_to_which_role(acme: Organization, giver: Role) -> None:
    actor = join(acme, "gil", giver)
    for role in Role:
        if may_give(giver, role):
            made = invite(actor=actor, email=f"{role}@example.com", role=role)
            assert (made.role, made.invited_by) == (role, actor.user)
        else:
            with pytest.raises(Forbidden):
                invite(actor=actor, email=f"{role}@example.com", role=role)
    given = set(Invitation.objects.values_list("role", flat=True))
    assert given == {role for role in Role if may_give(giver, role)}


def test_it_is_accepted_by_its_address_alone_and_once(
    acme: Organization, charlie: User, invitation: Invitation
) -> None:
    with pytest.raises(Forbidden):
        accept_invitation(user=charlie, invitation=invitation)
    user = create_user(email=NEW, password=None)
    assert accept_invitation(user=user, invitation=invitation).role == Role.ADMIN
    assert not Invitation.objects.exists()
    assert invitation_by(token_of(invitation)) is None
    with pytest.raises(NotFound):
        accept_invitation(user=user, invitation=invitation)
    assert [*AuditEntry.objects.filter(organization=acme).values_list("action", "actor_name")] == [
        ("member.invite", "alice@example.com"),
        ("member.join", NEW),
    ]


def test_an_account_comes_with_it_also_where_nobody_may_sign_up(
    acme: Organization, invitation: Invitation, settings: Any
) -> None:
    assert not settings.ENABLE_SIGNUP
    user = join_by_invitation(invitation=invitation, password=PASSWORD, name="Nell")
    assert (user.email, user.name) == (NEW, "Nell")
    assert roles_in(acme)[NEW] == Role.ADMIN
    assert membership_of(user.personal_organization, user).role == Role.OWNER


def test_no_account_is_made_where_the_invitation_is_gone(invitation: Invitation) -> None:
    Invitation.objects.all().delete()
    with pytest.raises(NotFound):
        join_by_invitation(invitation=invitation, password=PASSWORD)
    assert not User.objects.filter(email=NEW).exists()


def test_nor_with_a_bad_password_or_for_who_has_one(
    acme: Organization, invitation: Invitation
) -> None:
    with pytest.raises(InvalidInput):
        join_by_invitation(invitation=invitation, password="short")
    create_user(email=NEW, password=None)
    with pytest.raises(EmailTaken):
        join_by_invitation(invitation=invitation, password=PASSWORD)
    assert NEW not in roles_in(acme)
    assert Invitation.objects.count() == 1


def test_a_link_is_good_for_seven_days(acme: Organization, invitation: Invitation) -> None:
    token = token_of(invitation)
    assert invitation_by(token) == invitation
    assert timedelta(days=6.9) < invitation.expires_at - timezone.now() < timedelta(days=7)
    Invitation.objects.update(expires_at=timezone.now())
    assert invitation_by(token) is None
    user = create_user(email=NEW, password=None)
    with pytest.raises(NotFound):
        accept_invitation(user=user, invitation=invitation)
    renewed = renew_invitation(
        actor=actor_of(acme, invitation.invited_by), invitation=Invitation.objects.get()
    )
    assert invitation_by(token) == renewed
    assert not renewed.is_expired


@pytest.mark.parametrize("token", ["", "x", "x:y", "0" * 32])
def test_what_nobody_signed_is_no_link(invitation: Invitation, token: str) -> None:
    assert invitation_by(token) is None
    assert invitation_by(token_of(invitation)[:-1]) is None
    assert invitation_by(signing.Signer(salt="another").sign(invitation.pk.hex)) is None


def test_a_link_is_good_while_who_sent_it_may_give_its_role(acme: Organization) -> None:
    sender = join(acme, "gil", Role.ADMIN)
    made = invite(actor=sender, email=NEW, role=Role.ADMIN)
    # As in the admin, which knows of no invitations.
    Membership.objects.filter(user=sender.user, organization=acme).update(role=Role.READER)
    assert invitation_by(token_of(made)) is None
    user = create_user(email=NEW, password=None)
    with pytest.raises(NotFound):
        accept_invitation(user=user, invitation=made)
    assert NEW not in roles_in(acme)


def test_who_leaves_takes_their_invitations_along(acme: Organization, alice: User) -> None:
    for name, ending in (("gil", leave), ("ola", None)):
        sender = join(acme, name, Role.ADMIN)
        made = invite(actor=sender, email=NEW, role=Role.READER)
        if ending:
            ending(actor=sender)
        else:
            member = membership_of(acme, sender.user)
            remove_member(actor=actor_of(acme, alice), membership=member)
        assert invitation_by(token_of(made)) is None
        assert not Invitation.objects.exists()


def test_nobody_is_invited_twice_or_who_is_in(
    acme: Organization, alice: User, bob: User, invitation: Invitation
) -> None:
    actor = actor_of(acme, alice)
    with pytest.raises(AlreadyInvited) as twice:
        invite(actor=actor, email=NEW, role=Role.READER)
    with pytest.raises(AlreadyMember) as member:
        invite(actor=actor, email="BOB@example.com", role=Role.READER)
    for refused in (twice, member):
        assert [error.field for error in refused.value.errors] == ["email"]
    assert Invitation.objects.count() == 1


@pytest.mark.parametrize("email", ["", "nobody", "a@b", f"{'x' * 250}@example.com", "a\x00@b.de"])
def test_what_is_no_address(acme: Organization, alice: User, email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        invite(actor=actor_of(acme, alice), email=email, role=Role.READER)
    assert {error.field for error in refused.value.errors} == {"email"}


def test_they_are_bounded(
    acme: Organization, alice: User, invitation: Invitation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations_module, "MAX_OPEN", 1)
    with pytest.raises(TooMany):
        invite(actor=actor_of(acme, alice), email="more@example.com", role=Role.READER)


def test_a_revoked_one_is_gone(acme: Organization, alice: User, invitation: Invitation) -> None:
    token = token_of(invitation)
    revoke_invitation(actor=actor_of(acme, alice), invitation=invitation)
    assert invitation_by(token) is None
    assert AuditEntry.objects.filter(action="member.uninvite").exists()
    with pytest.raises(NotFound):
        revoke_invitation(actor=actor_of(acme, alice), invitation=invitation)


def test_what_an_owner_gave_an_admin_neither_revokes_nor_renews(
    acme: Organization, alice: User
) -> None:
    made = invite(actor=actor_of(acme, alice), email=NEW, role=Role.OWNER)
    admin = join(acme, "gil", Role.ADMIN)
    for verb in (revoke_invitation, renew_invitation):
        with pytest.raises(Forbidden):
            verb(actor=admin, invitation=made)
    assert Invitation.objects.get().invited_by == alice


def test_who_became_a_member_meanwhile_keeps_their_role(
    acme: Organization, invitation: Invitation
) -> None:
    user = create_user(email=NEW, password=None)
    add_member(organization=acme, user=user, role=Role.READER)
    assert accept_invitation(user=user, invitation=invitation).role == Role.READER
    assert not Invitation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_accepted_at_the_same_moment_it_makes_one_member(
    acme: Organization, invitation: Invitation
) -> None:
    user = create_user(email=NEW, password=None)

    def accept() -> bool:
        try:
            accept_invitation(user=user, invitation=invitation)
        except NotFound:
            return False
        return True

    assert sorted(together([accept, accept, accept])) == [False, False, True]
    assert Membership.objects.filter(user=user, organization=acme).count() == 1


@pytest.mark.django_db(transaction=True)
def test_sent_at_the_same_moment_it_is_one(acme: Organization, alice: User) -> None:
    actor = actor_of(acme, alice)

    def send() -> bool:
        try:
            invite(actor=actor, email=NEW, role=Role.READER)
        except AlreadyInvited:
            return False
        return True

    assert sorted(together([send, send])) == [False, True]
    assert Invitation.objects.count() == 1
