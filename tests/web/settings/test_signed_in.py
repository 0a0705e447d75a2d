"""Where one is signed in: seen, and ended."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import SignedIn, User
from apps.accounts.services import create_user, set_password
from apps.audit.models import AuditEntry
from apps.web.words import browser_named

pytestmark = pytest.mark.django_db

PASSWORD = "a mill by the river"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
PAGE = "/settings/sessions"


@pytest.fixture
def ida() -> User:
    return create_user(email="ida@example.com", password=PASSWORD, name="Ida")


def signed_in(email: str = "ida@example.com", agent: str = FIREFOX) -> Client:
    browser = Client(headers={"User-Agent": agent})
    answer = browser.post("/sign-in", {"username": email, "password": PASSWORD})
    assert answer.status_code == 302
    return browser


def is_in(browser: Client) -> bool:
    return bool(browser.get("/jobs").status_code == 200)


def rows_of(browser: Client) -> list[tuple[str, bool]]:
    """The names of the browsers on the page, and whether it is this one."""
    return [(name, is_this) for _, name, is_this in browser.get(PAGE).context["rows"]]


def ends_of(browser: Client) -> list[str]:
    return re.findall(rf'href="({PAGE}/[0-9a-f-]{{36}}/end)"', browser.get(PAGE).content.decode())


def test_one_of_several_is_ended(ida: User) -> None:
    here, phone = signed_in(), signed_in(agent=PHONE)
    assert rows_of(here) == [("Firefox on Linux", True), ("Safari on iPhone", False)]
    html = here.get(PAGE).content.decode()
    for row in SignedIn.objects.all():
        assert row.session_id not in html  # whoever has that is signed in

    [_, other] = ends_of(here)
    assert b"Sign out Safari on iPhone?" in here.get(other).content
    assert is_in(phone)  # a question changes nothing
    assert here.post(other)["Location"] == PAGE
    assert is_in(here)
    assert not is_in(phone)
    assert rows_of(here) == [("Firefox on Linux", True)]
    assert here.post(other).status_code == 404
    actions = list(AuditEntry.objects.order_by("number").values_list("action", flat=True))
    assert actions == ["session.begin", "session.begin", "session.end"]
    assert AuditEntry.objects.filter(actor=ida).count() == 3


def test_those_that_began_before_there_was_a_list_are_ended_too(ida: User) -> None:
    here, before = signed_in(), signed_in()
    bert = create_user(email="bert@example.com", password=PASSWORD, name="Bert")
    others = signed_in(email=bert.email)
    SignedIn.objects.exclude(session_id=here.session.session_key).delete()
    here.post(f"{PAGE}/end")
    assert is_in(here)
    assert not is_in(before)
    assert is_in(others)


def test_all_others_are_ended_and_this_one_stays(ida: User) -> None:
    here, *others = (signed_in() for _ in range(3))
    assert b"Other sessions of yours: 2." in here.get(f"{PAGE}/end").content
    assert all(map(is_in, others))
    here.post(f"{PAGE}/end")
    assert is_in(here)
    assert not any(map(is_in, others))
    answer = here.get(f"{PAGE}/end", follow=True)
    assert "You are signed in nowhere else." in answer.content.decode()
    [own] = ends_of(here)
    assert here.post(own)["Location"] == "/sign-in"
    assert not is_in(here)
    assert SignedIn.objects.count() == 0


def test_nobody_sees_or_ends_those_of_others(ida: User) -> None:
    create_user(email="otto@example.com", password=PASSWORD, name="Otto")
    here, otto = signed_in(), signed_in("otto@example.com", PHONE)
    [own] = ends_of(here)
    assert rows_of(otto) == [("Safari on iPhone", True)]
    for verb in (otto.get, otto.post):
        assert verb(own).status_code == 404
    otto.post(f"{PAGE}/end")
    assert is_in(here)


def test_a_new_password_ends_all_others_and_they_are_not_listed(ida: User) -> None:
    here, other = signed_in(), signed_in(agent=PHONE)
    given = {"change": "password", "password": PASSWORD, "new_password": "another mill, upstream"}
    assert here.post("/settings/profile", given).status_code == 302
    assert rows_of(here) == [("Firefox on Linux", True)]
    assert not is_in(other)
    set_password(user=ida, password="a third mill, far away")
    assert not is_in(here)


def test_browsers_by_name() -> None:
    edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130 Safari/537.36 Edg/130"
    names: dict[str, Any] = {
        FIREFOX: "Firefox on Linux",
        PHONE: "Safari on iPhone",
        edge: "Edge on Windows",
        "": "Another browser",
        "<script>": "Another browser",
        "Mozilla/5.0 (Linux; Android 14) Chrome/130 Mobile Safari/537.36": "Chrome on Android",
    }
    assert {agent: browser_named(agent) for agent in names} == names
