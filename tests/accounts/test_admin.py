"""Accounts in the stock admin, used as an operator uses it."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, create_user

PASSWORD = "seven quiet otters"


@pytest.fixture
def operator(db: None) -> Client:
    user = create_user(email="root@example.com", password=None, is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def test_a_user_made_here_has_a_personal_organization(operator: Client) -> None:
    response = operator.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "Dana@example.com",
            "name": "Dana",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )

    assert response.status_code == 302
    user = User.objects.get(email="dana@example.com")
    assert user.check_password(PASSWORD)
    assert user.personal_organization.memberships.get().role == Role.OWNER


def test_an_address_that_is_taken_is_told_beside_its_field(operator: Client, alice: User) -> None:
    response = operator.post(
        reverse("admin:accounts_user_add"),
        {"email": "ALICE@example.com", "usable_password": "false"},
    )

    assert response.status_code == 200
    assert response.context["adminform"].form.errors["email"] == [
        "Somebody else uses this e-mail address."
    ]


def test_a_user_is_changed_without_losing_the_password(operator: Client, alice: User) -> None:
    page = reverse("admin:accounts_user_change", args=[alice.pk])
    before = alice.password

    assert operator.get(page).status_code == 200
    response = operator.post(page, {"email": "alice@example.com", "name": "Alice A."})

    alice.refresh_from_db()
    assert response.status_code == 302
    assert (alice.name, alice.is_active, alice.password) == ("Alice A.", False, before)


def members_form(organization: Organization, *rows: dict[str, object]) -> dict[str, object]:
    form: dict[str, object] = {
        "name": organization.name,
        "memberships-TOTAL_FORMS": len(rows),
        "memberships-INITIAL_FORMS": sum("id" in row for row in rows),
    }
    for number, row in enumerate(rows):
        form |= {f"memberships-{number}-{name}": value for name, value in row.items()}
    return form


def test_an_organization_keeps_an_owner(operator: Client, alice: User, acme: Organization) -> None:
    membership = acme.memberships.get()
    page = reverse("admin:accounts_organization_change", args=[acme.pk])
    row = {"id": membership.pk, "user": alice.pk, "organization": acme.pk, "role": "owner"}

    assert operator.get(page).status_code == 200
    for without in (row | {"role": "admin"}, row | {"DELETE": "on"}):
        assert operator.post(page, members_form(acme, without)).status_code == 200
        assert acme.memberships.get().role == Role.OWNER
    assert operator.post(page, members_form(acme, row)).status_code == 302


def test_an_organization_is_made_with_its_owner(operator: Client, alice: User) -> None:
    page = reverse("admin:accounts_organization_add")
    new = Organization(name="New")

    assert operator.post(page, members_form(new)).status_code == 200
    owner = {"user": alice.pk, "role": "owner"}
    assert operator.post(page, members_form(new, owner)).status_code == 302
    assert Membership.objects.get(organization__name="New").user == alice


def test_a_key_is_seen_and_its_digest_is_not(
    operator: Client, alice: User, acme: Organization
) -> None:
    key, token = create_api_key(organization=acme, user=alice, name="ci")

    for page in (
        reverse("admin:accounts_apikey_changelist"),
        reverse("admin:accounts_apikey_change", args=[key.pk]),
    ):
        html = operator.get(page).content.decode()
        assert key.prefix in html
        assert key.digest not in html
        assert token not in html
    assert operator.get(reverse("admin:accounts_apikey_add")).status_code == 403


def test_keys_are_revoked(operator: Client, alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    kept, _ = create_api_key(organization=acme, user=alice, name="kept")

    operator.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(key.pk)]},
    )

    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
    assert ApiKey.objects.get(pk=kept.pk).revoked_at is None


def test_who_may_only_look_at_keys_does_not_revoke_them(alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    staff = create_user(email="staff@example.com", password=None, is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client = Client()
    client.force_login(staff)

    client.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(key.pk)]},
    )

    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("model", ["user", "organization", "membership", "apikey"])
def test_lists_and_searches_answer(operator: Client, alice: User, model: str) -> None:
    page = reverse(f"admin:accounts_{model}_changelist")

    assert operator.get(page).status_code == 200
    assert operator.get(page, {"q": "alice"}).status_code == 200
