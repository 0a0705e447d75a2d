"""The page of API keys."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key
from tests.accounts.people import join
from tests.conftest import ApiFor, ClientFor
from tests.web.settings.reading import problems, text_of, told

pytestmark = [pytest.mark.django_db, pytest.mark.once]

HERE = "/settings/keys"


def make(browser: Client, **more: str) -> Any:
    given = {"label": "ci", "role": "contributor", "expires": "90"} | more
    return browser.post(HERE, given, follow=True)


def token_in(answer: Any) -> str:
    found = re.search(r'<code id="token">(dm_[\w-]{43})</code>', text_of(answer))
    assert found
    return found[1]


def test_a_token_is_shown_once_and_works(
    browser: Client, acme: Organization, api_for: ApiFor
) -> None:
    answer = make(browser)
    assert answer.redirect_chain == [(HERE, 302)]
    token = token_in(answer)
    api = api_for(token)
    assert api.get("/api/organization").json() | {"created_at": ""} == {
        "id": str(acme.pk),
        "name": "Acme",
        "is_personal": False,
        "role": "contributor",
        "created_at": "",
    }
    again = text_of(browser.get(HERE))
    assert token not in again
    assert token[:11] in again
    assert 'id="token"' not in again


def test_until_it_is_shown_it_is_sealed(browser: Client) -> None:
    browser.post(HERE, {"label": "ci", "role": "reader", "expires": ""})
    sessions = [each.get_decoded() for each in Session.objects.all()]
    assert any("new_key" in each for each in sessions)
    assert "dm_" not in str(sessions)
    assert token_in(browser.get(HERE))
    assert not any("new_key" in each.get_decoded() for each in Session.objects.all())


def test_a_key_that_was_made_elsewhere_is_not_shown_here(browser: Client, owner: User) -> None:
    browser.post(HERE, {"label": "ci", "role": "reader", "expires": ""})
    browser.post("/organization", {"organization": str(owner.personal_organization.pk)})
    assert 'id="token"' not in text_of(browser.get(HERE))


def test_expiry_and_role(browser: Client, acme: Organization) -> None:
    make(browser, expires="")
    assert ApiKey.objects.get().expires_at is None
    make(browser, expires="30", role="owner")
    key = ApiKey.objects.order_by("-created_at")[0]
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days in (29, 30)
    assert key.role == Role.OWNER
    for field, bad in (("expires", "-1"), ("expires", "7"), ("role", "king"), ("label", " ")):
        assert set(problems(make(browser, **{field: bad}))) == {f"id_key_{field}"}
    assert ApiKey.objects.count() == 2


def test_ones_own_and_for_admins_everybodys(acme: Organization, client_for: ClientFor) -> None:
    people = {role: join(acme, str(role), role).user for role in Role}
    for role, user in people.items():
        create_api_key(organization=acme, user=user, name=f"key of {role}")
    seen = {
        role: set(re.findall(r"<bdi>key of (\w+)</bdi>", text_of(client_for(user).get(HERE))))
        for role, user in people.items()
    }
    everybody = {str(role) for role in Role}
    assert seen == {
        Role.OWNER: everybody,
        Role.ADMIN: everybody,
        Role.CONTRIBUTOR: {"contributor"},
        Role.READER: {"reader"},
    }
    reader = client_for(people[Role.READER])
    assert 'id="make"' not in text_of(reader.get(HERE))
    assert reader.post(HERE, {"label": "x", "role": "reader"}).status_code == 403
    contributor = client_for(people[Role.CONTRIBUTOR])
    assert set(problems(make(contributor, role="admin"))) == {"id_key_role"}


def test_revoking_asks_first(browser: Client, acme: Organization, api_for: ApiFor) -> None:
    api: APIClient = api_for(token_in(make(browser)))
    key = ApiKey.objects.get()
    path = f"{HERE}/{key.pk}/revoke"
    assert "Revoke the key ci?" in text_of(browser.get(path))
    assert api.get("/api/members").status_code == 200
    assert told(browser.post(path, follow=True)) == ["The key ci is revoked."]
    assert api.get("/api/members").json()["code"] == "auth.revoked_key"
    assert told(browser.post(path, follow=True)) == ["The key ci was revoked before."]
    assert "revoked" in text_of(browser.get(HERE))
