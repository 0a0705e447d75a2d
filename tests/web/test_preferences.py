"""How the pages are liked: kept by the browser, right at first paint."""

import re

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.conftest import ClientFor

pytestmark = pytest.mark.django_db


def frame(browser: Client) -> tuple[str, str]:
    """The theme and the sidebar of a page at its first paint."""
    found = re.search(
        r'<html lang="en" data-theme="(.*?)" data-sidebar="(.*?)">',
        browser.get("/").content.decode(),
    )
    assert found
    return found[1], found[2]


def test_preferences_are_right_at_first_paint(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    assert frame(browser) == ("system", "expanded")
    answer = browser.post("/preferences", {"theme": "dark", "next": "/jobs?q=x"})
    assert (answer.status_code, answer["Location"]) == (302, "/jobs?q=x")
    assert frame(browser) == ("dark", "expanded")
    browser.post("/preferences", {"sidebar": "collapsed"})
    assert frame(browser) == ("dark", "collapsed")
    page = browser.get("/").content.decode()
    assert 'value="expanded" aria-expanded="false"' in page
    assert 'value="dark" aria-pressed="true"' in page
    cookie = browser.cookies["theme"]
    assert (cookie["samesite"], cookie["max-age"]) == ("Lax", 365 * 24 * 3600)


@pytest.mark.parametrize("garbage", ['"><script>', "", "é", "darkdark", "x" * 4000])
def test_garbage_is_neither_kept_nor_shown(
    alice: User, client_for: ClientFor, garbage: str
) -> None:
    browser = client_for(alice)
    answer = browser.post("/preferences", {"theme": garbage, "sidebar": garbage})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert "theme" not in answer.cookies
    assert "sidebar" not in answer.cookies
    browser.cookies["theme"] = browser.cookies["sidebar"] = garbage
    assert frame(browser) == ("system", "expanded")


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil", "\x00"])
def test_preferences_lead_nowhere_else(elsewhere: str) -> None:
    answer = Client().post("/preferences", {"theme": "dark", "next": elsewhere})
    assert answer["Location"] == "/"


def test_who_is_signed_out_has_preferences_too(db: None) -> None:
    browser = Client()
    browser.post("/preferences", {"theme": "dark"})
    assert '<html lang="en" data-theme="dark">' in browser.get("/sign-in").content.decode()
    assert '<html lang="en" data-theme="dark">' in browser.get("/nowhere").content.decode()


def test_over_https_the_cookies_of_preferences_are_secure() -> None:
    answer = Client().post("/preferences", {"theme": "dark"}, secure=True)
    assert answer.cookies["theme"]["secure"]
    assert Client().get("/preferences").status_code == 405
