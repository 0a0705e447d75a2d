"""Signing in and out, switching the organization, and how the pages are liked."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.accounts.services import create_user

pytestmark = [pytest.mark.once, pytest.mark.django_db]

EMAIL, PASSWORD = "ida@example.com", "a mill by the river"
WRONG = "This e-mail address and password do not belong together."


class Counted(Argon2PasswordHasher):
    """Argon2, counting: what a hash costs is what an onlooker could measure."""

    made: ClassVar[int] = 0

    def encode(self, password: str, salt: str) -> str:
        Counted.made += 1
        return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        Counted.made += 1
        return bool(super().verify(password, encoded))


@pytest.fixture
def ida() -> User:
    return create_user(email=EMAIL, password=PASSWORD, name="Ida")


@pytest.fixture
def browser() -> Client:
    """Checked for CSRF and answered on errors as a real one is."""
    return Client(raise_request_exception=False)


def sign_in(browser: Client, email: str = EMAIL, password: str = PASSWORD, **more: str) -> Any:
    return browser.post("/sign-in", {"username": email, "password": password, **more})


def is_in(browser: Client) -> bool:
    return bool(browser.get("/").status_code == 200)


@contextmanager
def hashes_counted() -> Iterator[Callable[[], int]]:
    with override_settings(PASSWORD_HASHERS=[f"{__name__}.Counted"]):
        Counted.made = 0
        yield lambda: Counted.made


# --- in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [EMAIL, EMAIL.upper(), f"  {EMAIL} ", "Ida@Example.com"])
def test_the_address_is_taken_in_any_case(ida: User, browser: Client, typed: str) -> None:
    answer = sign_in(browser, typed)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_in(browser)


def test_the_form_is_labelled_and_password_managers_know_it(browser: Client) -> None:
    page = browser.get("/sign-in").content.decode()
    assert '<label for="id_username">E-mail address</label>' in page
    assert '<label for="id_password">Password</label>' in page
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert "aria-invalid" not in page


def test_what_is_wrong_is_announced_once_and_tied_to_both_fields(
    ida: User, browser: Client
) -> None:
    answer = sign_in(browser, password="wrong")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count(WRONG) == 1
    assert page.count('role="alert"') == 1
    assert page.count('aria-describedby="sign-in-problem"') == 2
    assert page.count('aria-invalid="true"') == 2
    assert "wrong" not in page
    assert not is_in(browser)


@pytest.mark.parametrize(
    ("email", "password", "told"),
    [
        ("", PASSWORD, "Enter your e-mail address."),
        (EMAIL, "", "Enter your password."),
        ("ida", PASSWORD, "Enter a valid email address."),
        (EMAIL, "x" * 1025, "A password has at most 1024 characters."),
        (EMAIL, "a\x00b", "Null characters are not allowed."),
        (f"{EMAIL}\x00", PASSWORD, "Enter a valid email address."),
        (f"{'a' * 400}@example.com", PASSWORD, "Enter a valid email address."),
    ],
)
def test_what_is_wrong_with_one_field_is_tied_to_it(
    ida: User, browser: Client, email: str, password: str, told: str
) -> None:
    with hashes_counted() as hashes:
        answer = sign_in(browser, email, password)
        assert hashes() == 0
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count(told) == 1
    name = re.search(r'<p class="problem" role="alert" id="id_(\w+)_error">', page)
    assert name
    assert f'aria-describedby="id_{name[1]}_error"' in page
    assert page.count('aria-invalid="true"') == 1
    assert not is_in(browser)


def test_nobody_learns_who_has_an_account(ida: User, browser: Client) -> None:
    gone = create_user(email="gone@example.com", password=PASSWORD)
    gone.is_active = False
    gone.save()
    create_user(email="without@example.com", password=None)
    tries = {EMAIL: "wrong", gone.email: PASSWORD, "without@example.com": "x", "no@no.no": "x"}
    pages = set()
    for email, password in tries.items():
        with hashes_counted() as hashes:
            page = sign_in(browser, email, password).content.decode()
            assert hashes() == 1, email
        assert WRONG in page
        pages.add(re.sub(r'(name="csrfmiddlewaretoken" )?value="[^"]*"', "", page))
    assert len(pages) == 1
    assert not is_in(browser)


def test_the_session_key_is_new_after_the_sign_in(ida: User, browser: Client) -> None:
    session = browser.session
    session["planted"] = "by somebody else"
    session.save()
    planted = browser.cookies[settings.SESSION_COOKIE_NAME].value
    sign_in(browser)
    assert browser.cookies[settings.SESSION_COOKIE_NAME].value != planted
    assert not Session.objects.filter(pk=planted).exists()


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/jobs?state=failed", "/jobs?state=failed"),
        ("http://testserver/jobs", "http://testserver/jobs"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http:///evil.example", "/"),
        ("/jobs\r\nSet-Cookie: x=y", "/jobs%0D%0ASet-Cookie:%20x=y"),
        ("/sign-in", "/"),
        ("/sign-in?next=/sign-in", "/"),
        ("", "/"),
    ],
)
def test_next_leads_to_this_site_only_and_never_back_here(
    ida: User, browser: Client, wanted: str, led_to: str
) -> None:
    assert sign_in(browser, next=wanted)["Location"] == led_to
    # Who is signed in already is led on at once, to the same place.
    again = browser.get("/sign-in", {"next": wanted})
    assert (again.status_code, again["Location"]) == (302, led_to)


def test_the_page_one_wanted_comes_after_the_sign_in(ida: User, browser: Client) -> None:
    sent = browser.get("/jobs?state=failed")
    assert sent["Location"] == "/sign-in?next=/jobs%3Fstate%3Dfailed"
    form = browser.get(sent["Location"]).content.decode()
    assert '<input type="hidden" name="next" value="/jobs?state=failed">' in form


def test_the_sign_in_page_tells_nothing_of_who_and_what_is_here(
    ida: User, acme: Organization, browser: Client
) -> None:
    answer = browser.get("/sign-in")
    page = answer.content.decode()
    assert not [word for word in ("Ida", "Acme", "example.com", "0.1.0", "Django") if word in page]
    assert "Server" not in answer


def test_a_form_from_elsewhere_signs_nobody_in(ida: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = sign_in(strict)
    assert answer.status_code == 403
    assert "The form was not accepted" in answer.content.decode()
    assert not is_in(strict)


def test_a_second_sign_in_tab_leads_on_after_the_first(ida: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    form = strict.get("/sign-in?next=/jobs").content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert found
    typed = {"next": "/jobs", "csrfmiddlewaretoken": found[1]}
    assert sign_in(strict, **typed)["Location"] == "/jobs"
    again = sign_in(strict, **typed)
    assert (again.status_code, again["Location"]) == (303, "/sign-in?next=/jobs")
    assert strict.get(again["Location"])["Location"] == "/jobs"


@pytest.mark.parametrize("token", [{}, {"csrfmiddlewaretoken": "x" * 64}])
def test_an_old_form_signs_nobody_in_and_is_opened_anew(ida: User, token: dict[str, str]) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.get("/sign-in")
    answer = sign_in(strict, next="//evil.example", **token)
    assert (answer.status_code, answer["Location"]) == (303, "/sign-in?next=//evil.example")
    assert "Sign in" in strict.get(answer["Location"]).content.decode()
    assert not is_in(strict)
    assert strict.post("/sign-out").status_code == 403  # other forms are told of it


def test_a_sign_in_from_another_site_is_refused_even_with_a_cookie(ida: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.get("/sign-in")
    given = {"username": EMAIL, "password": PASSWORD}
    answer = strict.post("/sign-in", given, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert not is_in(strict)


# --- out ----------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_and_says_so(ida: User, browser: Client) -> None:
    sign_in(browser)
    stolen = browser.cookies[settings.SESSION_COOKIE_NAME].value
    answer = browser.post("/sign-out", follow=True)
    assert answer.redirect_chain == [("/sign-in", 302)]
    assert answer.content.decode().count("You are signed out.") == 1
    assert "You are signed out." not in browser.get("/sign-in").content.decode()
    browser.cookies[settings.SESSION_COOKIE_NAME] = stolen
    assert not is_in(browser)
    assert browser.post("/sign-out").status_code == 302  # again does no harm


def test_a_link_signs_nobody_out(ida: User, browser: Client) -> None:
    sign_in(browser)
    assert browser.get("/sign-out").status_code == 405
    assert is_in(browser)


def test_a_session_ends_after_two_weeks(ida: User, browser: Client) -> None:
    sign_in(browser)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["max-age"] == 14 * 24 * 3600
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert browser.get("/")["Location"] == "/sign-in?next=/"


def test_who_is_made_inactive_is_out_at_once(ida: User, browser: Client) -> None:
    sign_in(browser)
    User.objects.update(is_active=False)
    assert not is_in(browser)


def test_a_new_password_ends_the_other_sessions(ida: User, browser: Client) -> None:
    sign_in(browser)
    ida.set_password("another mill, upstream")
    ida.save()
    assert not is_in(browser)
