"""Accounts in the stock admin, used as an operator uses it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, create_user
from tests.operators import staff, superuser, told

pytestmark = pytest.mark.once

PASSWORD = "seven quiet otters"


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


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
    row = {"id": membership.pk, "user": alice.email, "organization": acme.pk, "role": "owner"}

    assert operator.get(page).status_code == 200
    for without in (row | {"role": "admin"}, row | {"DELETE": "on"}):
        assert operator.post(page, members_form(acme, without)).status_code == 200
        assert acme.memberships.get().role == Role.OWNER
    assert operator.post(page, members_form(acme, row)).status_code == 302


def test_an_organization_is_made_with_its_owner(operator: Client, alice: User) -> None:
    page = reverse("admin:accounts_organization_add")
    new = Organization(name="New")

    assert operator.post(page, members_form(new)).status_code == 200
    owner = {"user": alice.email, "role": "owner"}
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
        {"action": "revoke", "_selected_action": [str(key.pk)], "confirmed": "yes"},
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
        {"action": "revoke", "_selected_action": [str(key.pk)], "confirmed": "yes"},
    )

    assert ApiKey.objects.get().revoked_at is None


def test_a_key_that_was_revoked_before_is_skipped(
    operator: Client, alice: User, acme: Organization
) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    form = {"action": "revoke", "_selected_action": [str(key.pk)], "confirmed": "yes"}
    page = reverse("admin:accounts_apikey_changelist")
    first, second = (operator.post(page, form, follow=True) for _ in range(2))

    assert told(first) == ["Revoked: 1 API key."]
    assert told(second) == [f"Skipped: 1 ({key}). It was revoked before."]
    assert LogEntry.objects.get().object_id == str(key.pk)


MODELS = ["user", "organization", "membership", "apikey"]


def found(client: Client, model: str, **query: object) -> set[str]:
    """The names of the rows that a list shows for `query`."""
    answer = client.get(reverse(f"admin:accounts_{model}_changelist"), query)
    assert answer.status_code == 200
    return {str(row) for row in answer.context["cl"].result_list}


@pytest.mark.parametrize("model", MODELS)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(
    operator: Client, acme: Organization, alice: User, model: str
) -> None:
    counts = []
    for rows in (1, 12):
        for number in range(rows):
            user = create_user(email=f"u{rows}-{number}@example.com", password=None)
            create_api_key(organization=user.personal_organization, user=user, name="k")
        with CaptureQueriesContext(connection) as queries:
            operator.get(reverse(f"admin:accounts_{model}_changelist"))
        counts.append(len(queries))
        assert all("LIMIT" in each["sql"] for each in queries if "COUNT(" in each["sql"])

    assert counts[0] == counts[1]


def test_searches_and_filters(
    operator: Client, alice: User, acme: Organization, bob: User, other: Organization
) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    expected: dict[str, list[tuple[dict[str, object], set[str]]]] = {
        "user": [
            ({"q": "ALICE@example.com"}, {"alice@example.com"}),
            ({"q": "alice"}, {"alice@example.com"}),
        ],
        "organization": [
            ({"q": str(acme.pk)}, {"Acme"}),
            ({"q": "bob@example.com"}, {"Acme", "Bob"}),
            ({"q": "oth"}, {"Other"}),
            ({"personal_of__isempty": "1"}, {"Acme", "Other"}),
        ],
        "membership": [
            ({"q": str(acme.pk)}, {"alice@example.com (owner)", "bob@example.com (reader)"}),
            ({"organization": "acme", "role": "reader"}, {"bob@example.com (reader)"}),
            (
                {"user__id__exact": bob.pk},
                {"bob@example.com (owner)", "bob@example.com (reader)"},
            ),
        ],
        "apikey": [
            ({"q": key.prefix}, {str(key)}),
            ({"q": str(key.pk)}, {str(key)}),
            ({"q": "alice@example.com"}, {str(key)}),
            ({"organization": other.pk}, set()),
        ],
    }
    for model, cases in expected.items():
        for query, names in cases:
            assert found(operator, model, **query) == names, (model, query)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "query", [{"q": "\x00"}, {"q": "x" * 60_000}, {"role": "\x00"}, {"user__id__exact": "9" * 40}]
)
def test_bad_input_is_no_server_error(
    operator: Client, acme: Organization, model: str, query: dict[str, str]
) -> None:
    page = reverse(f"admin:accounts_{model}_changelist")
    assert operator.get(page, query, follow=True).status_code == 200


@pytest.mark.parametrize(
    ("app", "model", "query"),
    [
        ("accounts", "apikey", {"digest__startswith": "0"}),
        ("accounts", "apikey", {"user__password__startswith": "a"}),
        ("accounts", "apikey", {"role": "boss"}),
        ("accounts", "user", {"email__regex": "^(.+)+zzz$"}),
        ("accounts", "user", {"password__startswith": "a"}),
        ("accounts", "organization", {"name__regex": "(a"}),
        ("accounts", "membership", {"user__email": "alice@example.com"}),
        ("auth", "group", {"name__regex": "(a"}),
    ],
)
def test_only_filters_of_the_list_are_taken(
    operator: Client, acme: Organization, app: str, model: str, query: dict[str, str]
) -> None:
    page = reverse(f"admin:{app}_{model}_changelist")
    answer = operator.get(page, query)

    assert answer.status_code == 400 or answer["Location"] == f"{page}?e=1"


def test_an_organization_of_many_members_is_saved(
    operator: Client, alice: User, acme: Organization
) -> None:
    users = User.objects.bulk_create(User(email=f"u{n}@example.com") for n in range(400))
    Membership.objects.bulk_create(
        Membership(organization=acme, user=user, role=Role.READER) for user in users
    )
    rows = [
        {"id": row.pk, "user": row.user.email, "organization": acme.pk, "role": row.role}
        for row in acme.memberships.select_related("user")
    ]
    page = reverse("admin:accounts_organization_change", args=[acme.pk])
    rows[-1]["role"] = "admin"

    with CaptureQueriesContext(connection) as queries:
        assert operator.post(page, members_form(acme, *rows)).status_code == 302
    assert acme.memberships.filter(role=Role.ADMIN).count() == 1
    assert len(queries) < 50


def test_members_are_typed_as_addresses(operator: Client, alice: User, acme: Organization) -> None:
    page = reverse("admin:accounts_organization_change", args=[acme.pk])
    row = {"id": acme.memberships.get().pk, "user": alice.email, "organization": acme.pk}
    owner = row | {"role": "owner"}

    assert 'value="alice@example.com"' in operator.get(page).content.decode()
    nobody = {"user": "nobody@example.com", "role": "reader"}
    answer = operator.post(page, members_form(acme, owner, nobody))
    assert "Nobody here has this e-mail address." in answer.content.decode()
    create_user(email="dana@example.com", password=None)
    dana = {"user": " Dana@Example.com", "role": "reader"}
    assert operator.post(page, members_form(acme, owner, dana)).status_code == 302
    assert acme.memberships.get(user__email="dana@example.com").role == Role.READER


def test_memberships_and_keys_are_neither_changed_nor_deleted_by_themselves(
    operator: Client, alice: User, acme: Organization
) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    for row in (acme.memberships.get(), key):
        name = f"admin:accounts_{row._meta.model_name}"
        delete = reverse(f"{name}_delete", args=[row.pk])
        assert operator.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
        assert operator.post(delete, {"post": "yes"}).status_code == 403


def test_staff_give_themselves_no_rights_and_take_over_nobody(alice: User) -> None:
    staff = create_user(email="staff@example.com", password=None, is_staff=True)
    boss = create_user(email="boss@example.com", password=None, is_staff=True, is_superuser=True)
    staff.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    client = Client()
    client.force_login(staff)
    page = reverse("admin:accounts_user_change", args=[alice.pk])
    form = {"email": alice.email, "is_active": "on", "is_staff": "on", "is_superuser": "on"}

    assert client.post(page, form).status_code == 302
    alice.refresh_from_db()
    assert (alice.is_active, alice.is_staff, alice.is_superuser) == (True, False, False)
    for person in (boss, staff):
        for view in ("user_password_change", "accounts_user_delete"):
            name = f"admin:{'auth_' if view.startswith('user') else ''}{view}"
            assert client.post(reverse(name, args=[person.pk]), {}).status_code == 403


def test_staff_give_themselves_no_rights_through_groups(db: None) -> None:
    codenames = ("view_group", "add_group", "change_group", "delete_group")
    browser = staff(*codenames)
    group = Group.objects.create(name="lookers")
    every = [permission.pk for permission in Permission.objects.all()]
    page = reverse("admin:auth_group_change", args=[group.pk])

    assert browser.get(page).status_code == 200
    assert browser.post(page, {"name": "all", "permissions": every}).status_code == 403
    assert browser.post(reverse("admin:auth_group_add"), {"name": "new"}).status_code == 403
    delete = reverse("admin:auth_group_delete", args=[group.pk])
    assert browser.post(delete, {"post": "yes"}).status_code == 403
    form = {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
    browser.post(reverse("admin:auth_group_changelist"), form)
    assert list(Group.objects.values_list("name", flat=True)) == ["lookers"]
    assert not group.permissions.exists()


def test_the_sign_in_of_the_admin_is_ours(client: Client, operator: Client) -> None:
    page = reverse("admin:accounts_user_changelist")
    answer = client.get(page, follow=True)

    assert [each[0] for each in answer.redirect_chain] == [
        f"/admin/login/?next={page}",
        f"/sign-in?next={page}",
    ]
    assert client.get("/admin/login/")["Location"] == "/sign-in?next=/admin/"
    assert operator.get("/admin/login/")["Location"] == "/admin/"


def test_a_member_who_is_no_staff_is_told_so_once(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert len(answer.redirect_chain) == 1
    assert "alice@example.com" in answer.content.decode()


def test_signing_out_of_the_admin(operator: Client) -> None:
    assert operator.get("/admin/logout/").status_code == 405
    assert operator.post("/admin/logout/")["Location"] == "/sign-in"
    assert operator.get("/admin/").status_code == 302


def test_a_person_leads_to_what_is_theirs(operator: Client, alice: User) -> None:
    html = operator.get(reverse("admin:accounts_user_change", args=[alice.pk])).content.decode()

    for name, filtered in (
        ("accounts_membership", f"user__id__exact={alice.pk}"),
        ("accounts_apikey", f"user__id__exact={alice.pk}"),
        ("jobs_batchjob", f"created_by__id__exact={alice.pk}"),
    ):
        assert f"{reverse(f'admin:{name}_changelist')}?{filtered}" in html


def test_permissions_are_ticked(operator: Client, alice: User) -> None:
    permission = Permission.objects.get(codename="view_batchjob")
    page = reverse("admin:auth_group_add")

    assert f'<input type="checkbox" name="permissions" value="{permission.pk}"' in (
        operator.get(page).content.decode()
    )
    operator.post(page, {"name": "lookers", "permissions": [permission.pk]})
    assert list(Group.objects.get(name="lookers").permissions.all()) == [permission]


@pytest.mark.parametrize(
    "page", ["/admin/", "/admin/password_change/", "/admin/accounts/user/add/", "/admin/accounts/"]
)
def test_pages_carry_our_name_and_lead_back(operator: Client, page: str) -> None:
    html = operator.get(page).content.decode()

    assert "Docmill admin</title>" in html
    assert '<a href="/">Back to Docmill</a>' in html
    assert "style=" not in html
    assert "<style" not in html
