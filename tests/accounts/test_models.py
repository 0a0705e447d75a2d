"""The tenancy boundary, and what the tables themselves hold."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key


def test_organizations_are_visible_to_their_members(
    alice: User, bob: User, charlie: User, acme: Organization, other: Organization
) -> None:
    def seen(user: User | AnonymousUser) -> set[Organization]:
        return set(Organization.objects.visible_to(user))

    assert seen(alice) == {acme, alice.personal_organization}
    assert seen(bob) == {acme, bob.personal_organization}
    assert seen(charlie) == {other, charlie.personal_organization}
    assert seen(AnonymousUser()) == set()


def test_rows_are_visible_to_members_of_their_organization(
    alice: User, bob: User, charlie: User, acme: Organization, other: Organization
) -> None:
    ours, _ = create_api_key(organization=acme, user=alice, name="ours")
    theirs, _ = create_api_key(organization=other, user=charlie, name="theirs")
    personal = alice.personal_organization
    private, _ = create_api_key(organization=personal, user=alice, name="private")

    assert set(ApiKey.objects.visible_to(alice)) == {ours, private}
    assert set(ApiKey.objects.visible_to(bob)) == {ours}
    assert set(ApiKey.objects.visible_to(charlie)) == {theirs}
    assert set(ApiKey.objects.visible_to(AnonymousUser())) == set()
    assert set(ApiKey.objects.in_organization(acme)) == {ours}
    assert set(ApiKey.objects.in_organization(other)) == {theirs}


def test_visible_rows_come_once_each_and_can_be_changed(
    alice: User, bob: User, acme: Organization
) -> None:
    create_api_key(organization=acme, user=alice, name="before")

    assert ApiKey.objects.visible_to(alice).update(name="after") == 1
    assert [key.name for key in ApiKey.objects.visible_to(bob)] == ["after"]


def test_an_address_in_upper_case_cannot_be_stored(db: None) -> None:
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(email="Someone@example.com")])


def test_a_role_that_does_not_exist_cannot_be_stored(bob: User, acme: Organization) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(user=bob).update(role="king")
    key, _ = create_api_key(organization=acme, user=bob, name="key")
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(role="king")


def test_a_user_is_a_member_once(bob: User, acme: Organization) -> None:
    with pytest.raises(IntegrityError):
        Membership.objects.create(user=bob, organization=acme, role=Role.ADMIN)


def test_a_person_takes_their_own_organization_with_them_and_leaves_the_others(
    bob: User, acme: Organization
) -> None:
    personal = bob.personal_organization
    create_api_key(organization=personal, user=bob, name="mine")
    create_api_key(organization=acme, user=bob, name="for work")

    bob.delete()

    assert not Organization.objects.filter(pk=personal.pk).exists()
    assert Organization.objects.filter(pk=acme.pk).exists()
    assert not ApiKey.objects.exists()


def test_a_user_is_found_whatever_the_case_of_the_address(alice: User) -> None:
    assert User.objects.get_by_natural_key(" Alice@Example.COM") == alice


def test_djangos_own_way_to_a_superuser_makes_a_personal_organization(db: None) -> None:
    root = User.objects.create_superuser("Root@example.com", None)

    assert (root.email, root.is_staff, root.is_superuser) == ("root@example.com", True, True)
    assert root.personal_organization.memberships.get().role == Role.OWNER
