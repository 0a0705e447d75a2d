"""Who may open a page, and what everybody else is told."""

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from tests.conftest import ClientFor

pytestmark = [pytest.mark.once, pytest.mark.django_db]

FRAGMENT = {"HX-Request": "true"}
PAGES = ["/", "/jobs", "/jobs/new", f"/jobs/{'0' * 8}-0000-0000-0000-{'0' * 12}"]


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_led_to_the_sign_in_and_back(path: str) -> None:
    for answer in (Client().get(path), Client().head(path)):
        assert (answer.status_code, answer["Location"]) == (302, f"/sign-in?next={path}")
        assert answer.content == b""


def test_what_was_to_change_something_is_not_asked_for_again() -> None:
    answer = Client().post(f"{PAGES[-1]}/cancel")
    assert answer["Location"] == "/sign-in?next=/"


@pytest.mark.parametrize(
    ("page", "led_to"),
    [
        ("http://testserver/jobs/x?page=2#files", "/jobs/x%3Fpage%3D2"),
        ("http://testserver", "/"),
        ("https://evil.example/jobs", "/"),
        ("javascript:alert(1)", "/"),
        ("nonsense", "nonsense"),
    ],
)
def test_who_was_signed_out_meanwhile_comes_back_to_the_page_and_is_told(
    page: str, led_to: str
) -> None:
    browser = Client()
    answer = browser.post(f"{PAGES[-1]}/cancel", headers={"Referer": page})
    assert answer["Location"] == f"/sign-in?next={led_to}"
    told = "You were signed out before this was done. Nothing was changed."
    assert told in browser.get(answer["Location"]).content.decode()
    assert told not in browser.get("/jobs", follow=True).content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_a_fragment_is_told_instead_of_led(path: str) -> None:
    answer = Client().get(path, headers=FRAGMENT)
    assert (answer.status_code, answer.content) == (401, b"Signed out")
    assert answer["Content-Type"] == "text/plain"


def test_nothing_of_a_member_is_kept_on_the_way(alice: User, client_for: ClientFor) -> None:
    for answer in (client_for(alice).get("/"), Client().get("/"), Client().get("/sign-in")):
        assert "no-store" in answer["Cache-Control"]
        assert "private" in answer["Cache-Control"]
    assert "Cookie" in client_for(alice).get("/")["Vary"]


def test_a_fragment_for_a_member_of_nothing_is_refused(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    Organization.objects.all().delete()
    assert browser.get("/", headers=FRAGMENT).status_code == 403


@pytest.mark.parametrize("path", ["/", "/jobs"])
def test_pages_that_only_show_take_no_other_method(
    alice: User, client_for: ClientFor, path: str
) -> None:
    browser = client_for(alice)
    for method in ("POST", "PUT", "DELETE"):
        assert browser.generic(method, path).status_code == 405, method
