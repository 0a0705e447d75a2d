"""Organizations, members, invitations and keys for programs."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import ApiKey, Invitation, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key
from tests.accounts.people import join, membership_of, roles_in
from tests.conftest import ApiFor, ClientFor
from tests.core.test_schema import fits, schema
from tests.web.mailing import deliver

__all__ = ["schema"]

pytestmark = [pytest.mark.django_db, pytest.mark.once]

HTML = {"Accept": "text/html"}
NEW = "new@example.com"


def member_path(acme: Organization, user: User) -> str:
    return f"/api/members/{membership_of(acme, user).public_id}"


def test_the_organization(alice_api: APIClient, acme: Organization, schema: dict[str, Any]) -> None:
    answer = alice_api.get("/api/organization")
    fits(schema, answer, "GET", "/api/organization")
    assert (answer.json()["name"], answer.json()["role"]) == ("Acme", "owner")
    renamed = alice_api.patch("/api/organization", {"name": " New\tone "})
    assert renamed.json() == answer.json() | {"name": "New one"}
    acme.refresh_from_db()
    assert acme.name == "New one"


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": 7}, {"name": "a", "more": 1}, []]
)
def test_a_bad_name_is_told(alice_api: APIClient, acme: Organization, body: Any) -> None:
    answer = alice_api.patch("/api/organization", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_an_organization_is_deleted_by_a_person_alone(
    alice_api: APIClient, alice: User, acme: Organization, client_for: ClientFor
) -> None:
    body = {"name": "Acme"}
    assert alice_api.delete("/api/organization", body).status_code == 403
    browser = client_for(alice)
    wrong = browser.delete("/api/organization", {"name": "acme"}, "application/json")
    assert wrong.json()["errors"][0]["field"] == "name"
    assert browser.delete("/api/organization", body, "application/json").status_code == 204
    assert roles_in(acme) == {}
    assert alice_api.get("/api/organization").json()["code"] == "auth.revoked_key"


def test_members_and_their_roles(
    alice_api: APIClient, acme: Organization, alice: User, bob: User, schema: dict[str, Any]
) -> None:
    answer = alice_api.get("/api/members")
    fits(schema, answer, "GET", "/api/members")
    assert [
        (each["user"]["email"], each["role"], each["is_you"]) for each in answer.json()["results"]
    ] == [
        ("alice@example.com", "owner", True),
        ("bob@example.com", "reader", False),
    ]
    path = member_path(acme, bob)
    changed = alice_api.patch(path, {"role": "admin"})
    fits(schema, changed, "PATCH", "/api/members/{member_id}")
    assert alice_api.get(path).json()["role"] == changed.json()["role"] == "admin"
    for body in ({}, {"role": "king"}, {"role": None}, {"role": "admin", "more": 1}):
        assert alice_api.patch(path, body).status_code == 400
    refused = alice_api.patch(member_path(acme, alice), {"role": "reader"})
    assert (refused.status_code, refused.json()["code"]) == (409, "accounts.last_owner")
    assert alice_api.delete(path).status_code == 204
    assert roles_in(acme) == {"alice@example.com": Role.OWNER}
    assert alice_api.get(path).status_code == 404


def test_pages_of_members_follow_each_other(alice_api: APIClient, acme: Organization) -> None:
    for number in range(3):
        join(acme, f"m{number}", Role.READER)
    found, url = [], "/api/members?limit=2"
    while url:
        page = alice_api.get(url).json()
        found += [each["user"]["email"] for each in page["results"]]
        url = page["next"]
    assert found == ["alice@example.com", *(f"m{number}@example.com" for number in range(3))]
    assert alice_api.get("/api/members?cursor=x").status_code == 400
    assert alice_api.get("/api/members?q=x").status_code == 400


def test_a_key_of_an_admin_makes_no_owner(acme: Organization, bob: User, api_for: ApiFor) -> None:
    admin = join(acme, "gil", Role.ADMIN).user
    api = api_for(admin)
    assert api.patch(member_path(acme, bob), {"role": "owner"}).status_code == 403
    assert api.post("/api/invitations", {"email": NEW, "role": "owner"}).status_code == 403
    alice = User.objects.get(email="alice@example.com")
    assert api.delete(member_path(acme, alice)).status_code == 403
    assert roles_in(acme)["bob@example.com"] == Role.READER
    # Nor one that may less than its person.
    _, token = create_api_key(organization=acme, user=admin, name="ci", role=Role.READER)
    assert api_for(token).patch(member_path(acme, bob), {"role": "admin"}).status_code == 403


def test_who_leaves_does_so_by_themselves(
    bob_api: APIClient, acme: Organization, bob: User
) -> None:
    assert bob_api.delete(member_path(acme, bob)).status_code == 204
    assert bob_api.get("/api/members").json()["code"] == "auth.revoked_key"


def test_invitations(alice_api: APIClient, acme: Organization, schema: dict[str, Any]) -> None:
    made = alice_api.post("/api/invitations", {"email": NEW, "role": "reader"})
    fits(schema, made, "POST", "/api/invitations")
    assert made.status_code == 201
    path = made["Location"]
    assert [message.to for message in deliver()] == [[NEW]]
    listed = alice_api.get("/api/invitations")
    fits(schema, listed, "GET", "/api/invitations")
    assert listed.json()["results"] == [made.json()] == [alice_api.get(path).json()]
    again = alice_api.post("/api/invitations", {"email": NEW.upper(), "role": "reader"})
    assert (again.status_code, again.json()["code"]) == (409, "accounts.already_invited")
    resent = alice_api.post(f"{path}/resend")
    fits(schema, resent, "POST", "/api/invitations/{invitation_id}/resend")
    assert resent.json()["expires_at"] > made.json()["expires_at"]
    assert len(deliver()) == 1
    assert alice_api.delete(path).status_code == 204
    assert not Invitation.objects.exists()
    for body in ({}, {"email": NEW}, {"email": "x", "role": "reader"}, {"email": 1, "role": "x"}):
        assert alice_api.post("/api/invitations", body).status_code == 400


def test_a_member_is_not_invited(alice_api: APIClient, bob: User) -> None:
    answer = alice_api.post("/api/invitations", {"email": bob.email, "role": "reader"})
    assert (answer.status_code, answer.json()["code"]) == (409, "accounts.already_member")


def test_no_mailbox_is_flooded(alice_api: APIClient, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    path = alice_api.post("/api/invitations", {"email": NEW, "role": "reader"})["Location"]
    answers = [alice_api.post(f"{path}/resend") for _ in range(5)]
    assert [each.status_code for each in answers] == [200] * 4 + [429]
    assert answers[-1].json()["limiter"] == "auth"
    assert "Retry-After" in answers[-1]


def test_keys(
    alice: User, acme: Organization, client_for: ClientFor, schema: dict[str, Any]
) -> None:
    browser = client_for(alice)

    def make(**body: Any) -> Any:
        return browser.post("/api/keys", body, "application/json")

    made = make(name="ci", role="contributor", expires_at="2199-01-31T09:00:00Z")
    fits(schema, made, "POST", "/api/keys")
    assert made.status_code == 201
    token = made.json()["token"]
    api = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert api.get("/api/organization").json()["role"] == "contributor"
    listed = browser.get("/api/keys")
    fits(schema, listed, "GET", "/api/keys")
    assert "token" not in listed.json()["results"][0]
    assert token not in listed.content.decode()
    for body in (
        {},
        {"name": ""},
        {"name": "x", "role": "king"},
        {"name": "x", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "2199-01-01"},
        {"name": "x", "expires_at": "2199-01-31T09:00:00"},
        {"name": "x", "expires_at": 7},
        {"name": "x", "more": 1},
    ):
        assert make(**body).status_code == 400, body
    # A key makes no other; it may end itself.
    assert api.post("/api/keys", {"name": "more"}).status_code == 403
    path = made.json()["url"].removeprefix("http://testserver")
    assert api.delete(path).status_code == 204
    assert api.get(path).json()["code"] == "auth.revoked_key"
    assert browser.get(path).json()["revoked_at"]
    assert ApiKey.objects.count() == 1


def test_whose_keys_one_sees(acme: Organization, api_for: ApiFor) -> None:
    people = {role: api_for(join(acme, str(role), role).user) for role in Role}
    seen = {role: len(api.get("/api/keys").json()["results"]) for role, api in people.items()}
    assert seen == {Role.OWNER: 4, Role.ADMIN: 4, Role.CONTRIBUTOR: 1, Role.READER: 1}
    of_owner = people[Role.OWNER].get("/api/keys?limit=1").json()
    assert of_owner["next"]
    owners = ApiKey.objects.get(user__email="owner@example.com")
    for role, status in ((Role.CONTRIBUTOR, 403), (Role.READER, 403), (Role.ADMIN, 200)):
        assert people[role].get(f"/api/keys/{owners.pk}").status_code == status
    assert people[Role.CONTRIBUTOR].delete(f"/api/keys/{owners.pk}").status_code == 403
    assert people[Role.ADMIN].delete(f"/api/keys/{owners.pk}").status_code == 204
    assert people[Role.OWNER].get("/api/keys").json()["code"] == "auth.revoked_key"


def test_pages_of_the_api_offer_what_may_be_sent(
    alice: User, bob: User, acme: Organization, client_for: ClientFor
) -> None:
    client_for(alice).post("/settings/members", {"email": NEW, "role": "reader"})
    invitation = f"/api/invitations/{Invitation.objects.get().pk}"
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    paths = {
        "/api/organization": 1,
        "/api/members": 0,
        member_path(acme, bob): 2,
        "/api/invitations": 1,
        invitation: 2,
        "/api/keys": 1,
        f"/api/keys/{key.pk}": 1,
    }
    owner, reader = client_for(alice), client_for(bob)
    for path, count in paths.items():
        assert offered(owner, path) == count, path
    del paths[f"/api/keys/{key.pk}"]  # not hers to see
    assert {path for path in paths if offered(reader, path)} == {member_path(acme, bob)}  # leaving


def offered(browser: Client, path: str) -> int:
    answer = browser.get(path, headers=HTML)
    assert answer.status_code == 200, path
    page = answer.content.decode()
    return page.count("data-send=") - page.count('data-send="OPTIONS"')
