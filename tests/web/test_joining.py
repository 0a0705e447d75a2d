"""Signing up by a link in a mail, where that is allowed."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.accounts.services import create_user
from apps.web.mails import invitation
from tests.web.mailing import deliver, link_in

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "ida@example.com", "a mill by the river"


@pytest.fixture
def is_open(settings: Any) -> None:
    settings.ENABLE_SIGNUP = True


def ask(email: str = EMAIL, **more: Any) -> Any:
    return Client().post("/sign-up", {"email": email}, **more)


def test_nobody_signs_up_by_default() -> None:
    for path in ("/sign-up", f"/sign-up/{invitation(EMAIL)}"):
        assert Client().get(path).status_code == 404
        assert Client().post(path, {"email": EMAIL, "password": PASSWORD}).status_code == 404
    assert not User.objects.exists()
    assert deliver() == []
    assert "/sign-up" not in Client().get("/sign-in").content.decode()


def test_the_way_to_an_account(is_open: None) -> None:
    browser = Client()
    assert 'href="/sign-up"' in browser.get("/sign-in").content.decode()
    assert ask(EMAIL.upper())["Location"] == "/sign-in"
    [message] = deliver()
    assert message.to == [EMAIL]
    link = link_in(message)
    assert EMAIL in browser.get(link).content.decode()
    assert not User.objects.exists()
    answer = browser.post(link, {"name": "Ida", "password": PASSWORD})
    assert answer["Location"] == "/"
    assert browser.get("/").status_code == 200
    user = User.objects.get()
    assert (user.email, user.name, user.is_staff) == (EMAIL, "Ida", False)
    assert Organization.objects.get().personal_of == user
    assert "device" in answer.cookies
    # The link has served: who opens it again is told to sign in.
    again = Client().post(link, {"name": "Eve", "password": "something else, long"})
    assert again["Location"] == "/sign-in"
    assert User.objects.get().check_password(PASSWORD)


def test_the_same_is_told_to_who_has_an_account(is_open: None) -> None:
    create_user(email=EMAIL, password=PASSWORD)
    answers = [ask(), ask("new@example.com")]
    assert {(each.status_code, each["Location"]) for each in answers} == {(302, "/sign-in")}
    known, new = deliver()
    assert "already" in known.subject
    assert link_in(known) == "/password"
    assert link_in(new).startswith("/sign-up/")


def test_a_link_that_is_not_good_leads_back(is_open: None, settings: Any) -> None:
    token = invitation(EMAIL)
    settings.PASSWORD_RESET_TIMEOUT = -1
    for path in (f"/sign-up/{token}", "/sign-up/x", f"/sign-up/{token}x"):
        assert Client().post(path, {"password": PASSWORD})["Location"] == "/sign-up"
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [("Ida", "short", "password"), ("Ida", EMAIL, "password"), ("x" * 201, PASSWORD, "name")],
)
def test_what_is_wrong_is_told_beside_its_field(
    is_open: None, name: str, password: str, field: str
) -> None:
    answer = Client().post(f"/sign-up/{invitation(EMAIL)}", {"name": name, "password": password})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count('role="alert"') == 1
    assert f'id="id_{field}_error"' in page
    assert not User.objects.exists()


def test_mails_and_bad_links_are_limited(is_open: None, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    asked = [ask(f"new{number}@example.com") for number in range(6)]
    assert [each.status_code for each in asked] == [302] * 5 + [429]
    other = {"REMOTE_ADDR": "192.0.2.7"}
    opened = [Client().get("/sign-up/guess", **other) for _ in range(6)]  # type: ignore[arg-type]
    assert [each.status_code for each in opened] == [302] * 5 + [429]


def test_who_is_signed_in_has_an_account(is_open: None) -> None:
    browser = Client()
    browser.force_login(create_user(email=EMAIL, password=PASSWORD))
    assert browser.get("/sign-up")["Location"] == "/"
