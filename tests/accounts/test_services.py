from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.test import override_settings
from django.utils import timezone

from apps.accounts.errors import AlreadyMember, EmailTaken, NotAMember
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import (
    add_member,
    create_api_key,
    create_organization,
    create_user,
    revoke_api_key,
)
from apps.core.errors import InvalidInput
from config import settings

PASSWORD = "seven quiet otters"


def test_a_new_user_owns_a_personal_organization(db: None) -> None:
    user = create_user(email="dana@example.com", password=None, name=" Dana\n")

    personal = user.personal_organization
    membership = Membership.objects.get(user=user)
    assert user.name == personal.name == "Dana"
    assert (membership.organization, membership.role) == (personal, Role.OWNER)
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)


def test_a_user_without_a_name_has_an_organization_with_one(db: None) -> None:
    user = create_user(email="dana@example.com", password=None)

    assert user.personal_organization.name == "dana"


def test_passwords_are_kept_as_argon2(db: None) -> None:
    with override_settings(PASSWORD_HASHERS=settings.PASSWORD_HASHERS):
        assert create_user(email="dana@example.com", password=PASSWORD).password.startswith(
            "argon2"
        )


def test_a_user_signs_in_with_the_address_in_any_case(db: None) -> None:
    user = create_user(email=" Dana@Example.com ", password=PASSWORD)

    assert user.email == "dana@example.com"
    assert authenticate(username="DANA@example.com", password=PASSWORD) == user
    assert authenticate(username="dana@example.com", password=PASSWORD + "!") is None


def test_without_a_password_nobody_signs_in(db: None) -> None:
    user = create_user(email="dana@example.com", password=None)

    assert not user.has_usable_password()


def test_an_address_is_taken_whatever_its_case(alice: User) -> None:
    before = Organization.objects.count()

    with pytest.raises(EmailTaken) as refused:
        create_user(email="ALICE@example.com", password=None)

    assert [error.field for error in refused.value.errors] == ["email"]
    assert User.objects.count() == 1
    assert Organization.objects.count() == before


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "x" * 250 + "@example.com"}, "email"),
        ({"email": "a\x00@example.com"}, "email"),
        ({"password": ""}, "password"),
        ({"password": "short"}, "password"),
        ({"password": "dana@example.com"}, "password"),
        ({"password": "123456789012345"}, "password"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_what_makes_no_user(db: None, given: dict[str, str], field: str) -> None:
    valid = {"email": "dana@example.com", "password": PASSWORD}

    with pytest.raises(InvalidInput) as refused:
        create_user(**(valid | given))

    assert {error.field for error in refused.value.errors} == {field}
    assert not User.objects.exists()


def test_an_organization_starts_with_its_owner(alice: User) -> None:
    organization = create_organization(name=" New\tone ", owner=alice)

    assert organization.name == "New one"
    assert organization.personal_of is None
    assert organization.memberships.get().role == Role.OWNER


@pytest.mark.parametrize("name", ["", " \n", "x" * 201])
def test_an_organization_needs_a_name(alice: User, name: str) -> None:
    before = Organization.objects.count()

    with pytest.raises(InvalidInput):
        create_organization(name=name, owner=alice)

    assert Organization.objects.count() == before


def test_no_organization_without_an_owner(db: None) -> None:
    with pytest.raises(ValueError, match="unsaved"):
        create_organization(name="Nobody's", owner=User(email="nobody@example.com"))

    assert not Organization.objects.exists()


def test_a_role_is_not_given_twice(bob: User, acme: Organization) -> None:
    with pytest.raises(AlreadyMember):
        add_member(organization=acme, user=bob, role=Role.OWNER)

    assert Membership.objects.get(user=bob, organization=acme).role == Role.READER


def test_a_role_that_does_not_exist_is_not_given(charlie: User, acme: Organization) -> None:
    with pytest.raises(ValueError, match="king"):
        add_member(organization=acme, user=charlie, role="king")  # type: ignore[arg-type]  # on purpose


def test_a_key_shows_its_token_once_and_keeps_none_of_it(alice: User, acme: Organization) -> None:
    key, token = create_api_key(organization=acme, user=alice, name=" ci ")

    assert token.startswith("dm_")
    assert len(token) == len("dm_") + 43  # 256 bits, 6 to a character
    key.refresh_from_db()
    assert key.prefix == token[:11]
    assert (key.name, key.role, key.expires_at) == ("ci", Role.OWNER, None)
    assert token not in str(ApiKey.objects.values().get())


def test_no_two_tokens_are_the_same(alice: User, acme: Organization) -> None:
    tokens = {create_api_key(organization=acme, user=alice, name="x")[1] for _ in range(5)}

    assert len(tokens) == 5


@pytest.mark.parametrize(
    ("asked", "given"),
    [(None, Role.READER), (Role.READER, Role.READER), (Role.OWNER, Role.READER)],
)
def test_a_key_may_no_more_than_its_user(
    bob: User, acme: Organization, asked: Role | None, given: Role
) -> None:
    key, _ = create_api_key(organization=acme, user=bob, name="ci", role=asked)

    assert key.role == given


def test_a_key_may_less_than_its_user(alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci", role=Role.CONTRIBUTOR)

    assert key.role == Role.CONTRIBUTOR


def test_no_key_where_the_user_is_not_a_member(charlie: User, acme: Organization) -> None:
    with pytest.raises(NotAMember):
        create_api_key(organization=acme, user=charlie, name="ci")


def test_a_key_needs_a_name_and_a_future(alice: User, acme: Organization) -> None:
    with pytest.raises(InvalidInput):
        create_api_key(organization=acme, user=alice, name=" ")
    with pytest.raises(InvalidInput):
        create_api_key(
            organization=acme,
            user=alice,
            name="ci",
            expires_at=timezone.now() - timedelta(seconds=1),
        )

    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_once(alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")

    assert revoke_api_key(key=key) is True
    first = ApiKey.objects.get().revoked_at
    assert key.revoked_at == first is not None
    assert revoke_api_key(key=ApiKey.objects.get()) is False
    assert ApiKey.objects.get().revoked_at == first
