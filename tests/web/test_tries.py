"""A sign-in that fails counts; nobody is locked out by a stranger."""

import re
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services import create_user
from apps.core import breaker
from apps.core.breaker import ANSWER_SECONDS
from apps.ratelimits.models import KeptCount
from tests.servers import Valkey

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "ida@example.com", "a mill by the river"


@pytest.fixture(autouse=True)
def _five(settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"


@pytest.fixture(autouse=True)
def _as_impatient_as_it_is(_fresh_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "ANSWER_SECONDS", ANSWER_SECONDS)


@pytest.fixture
def ida() -> User:
    return create_user(email=EMAIL, password=PASSWORD)


def sign_in(browser: Client, password: str, email: str = EMAIL, address: str = "192.0.2.1") -> Any:
    given = {"username": email, "password": password}
    return browser.post("/sign-in", given, REMOTE_ADDR=address)


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def test_the_sixth_failure_is_refused_on_a_page_that_says_when_to_come_back(ida: User) -> None:
    answers = [sign_in(Client(), "wrong") for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert answers[0]["X-RateLimit-Remaining"] == "4"
    page = answers[-1].content.decode()
    assert re.search(r"Try again in 1[45] min", page)
    assert 'href="/password"' in page
    assert 890 < int(answers[-1]["Retry-After"]) <= 900
    assert '"auth-address-15-minutes"' in answers[-1]["RateLimit-Policy"]
    # The right password does not help any more: else it could still be guessed.
    assert sign_in(Client(), PASSWORD).status_code == 429


def test_what_goes_well_does_not_count(ida: User) -> None:
    for _ in range(12):
        assert is_in(sign_in(Client(), PASSWORD))
    for _ in range(4):
        sign_in(Client(), "wrong")
    assert is_in(sign_in(Client(), PASSWORD))
    assert [sign_in(Client(), "wrong").status_code for _ in range(2)] == [200, 429]


def test_a_form_that_is_not_filled_in_does_not_count(ida: User) -> None:
    for email, password in [("", PASSWORD), (EMAIL, ""), ("ida", PASSWORD)] * 3:
        assert sign_in(Client(), password, email).status_code == 200
    assert is_in(sign_in(Client(), PASSWORD))


def test_an_address_is_counted_over_all_accounts(ida: User) -> None:
    for number in range(5):
        sign_in(Client(), "wrong", f"nobody{number}@example.com")
    assert sign_in(Client(), PASSWORD).status_code == 429
    assert is_in(sign_in(Client(), PASSWORD, address="192.0.2.2"))


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_an_account_is_counted_over_all_addresses(ida: User, email: str) -> None:
    """Whether there is one or not: nobody learns it from the count."""
    typed = [email, email.upper(), f" {email}", email, email]
    for number, each in enumerate(typed):
        assert sign_in(Client(), "wrong", each, f"192.0.2.{number}").status_code == 200
    assert sign_in(Client(), "wrong", email, "192.0.2.9").status_code == 429


def test_a_stranger_does_not_lock_out_a_browser_that_is_known(ida: User) -> None:
    known = Client()
    assert is_in(sign_in(known, PASSWORD))
    known.post("/sign-out")
    for number in range(5):
        sign_in(Client(), "wrong", address=f"198.51.100.{number}")
    for _ in range(5):  # from her own network, too
        sign_in(Client(), "wrong", "other@example.com")
    assert sign_in(Client(), PASSWORD).status_code == 429
    assert is_in(sign_in(known, PASSWORD))


def test_a_known_browser_has_five_tries_of_its_own(ida: User) -> None:
    known = Client()
    sign_in(known, PASSWORD)
    known.post("/sign-out")
    assert [sign_in(known, "wrong").status_code for _ in range(6)] == [200] * 5 + [429]
    # Its failures are not those of its network, nor of other browsers.
    assert is_in(sign_in(Client(), PASSWORD))


def test_a_browser_is_known_to_its_own_accounts_only(ida: User) -> None:
    create_user(email="eve@example.com", password=PASSWORD)
    eves = Client()
    sign_in(eves, PASSWORD, "eve@example.com")
    eves.post("/sign-out")
    for _ in range(5):
        sign_in(eves, "wrong")
    assert sign_in(eves, PASSWORD).status_code == 429
    assert is_in(sign_in(eves, PASSWORD, "eve@example.com"))


@pytest.mark.parametrize("is_signed", [True, False])
def test_nobody_writes_the_cookie_but_we(ida: User, is_signed: bool) -> None:
    """Nor is something else that we have signed taken for it."""
    known, stranger = Client(), Client()
    told = signing.loads(sign_in(known, PASSWORD).cookies["device"].value, salt="docmill.device")
    stranger.cookies["device"] = signing.dumps(told, salt="other") if is_signed else "x"
    for _ in range(5):
        sign_in(stranger, "wrong")
    assert sign_in(stranger, PASSWORD).status_code == 429


def test_the_cookie_tells_nothing_and_no_script_reads_it(ida: User) -> None:
    browser = Client()
    cookie = sign_in(browser, PASSWORD).cookies["device"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    told = str(signing.loads(cookie.value, salt="docmill.device"))
    assert "ida" not in told
    assert "example" not in told


def test_the_sign_in_of_the_admin_is_the_same(ida: User, settings: Any) -> None:
    ida.is_staff = ida.is_superuser = True
    ida.save()
    browser = Client()
    sent = browser.get("/admin/")
    assert sent["Location"].startswith("/admin/login/")
    assert browser.get(sent["Location"])["Location"] == "/sign-in?next=/admin/"
    for _ in range(6):
        browser.post("/admin/login/", {"username": EMAIL, "password": PASSWORD})
        assert browser.get("/admin/").status_code == 302  # no other form signs anybody in
    assert [sign_in(browser, "wrong").status_code for _ in range(6)] == [200] * 5 + [429]


def test_an_open_session_is_no_place_to_guess_the_password(ida: User) -> None:
    ida.is_staff = True
    ida.save()
    browser = Client()
    browser.force_login(ida)

    def change(old: str) -> int:
        new = {"new_password1": "a weir by the wood", "new_password2": "a weir by the wood"}
        given = {"old_password": old, **new}
        return int(browser.post("/admin/password_change/", given).status_code)

    assert [change("wrong") for _ in range(4)] == [200] * 4
    assert change(PASSWORD) == 302  # given back
    assert [change("wrong") for _ in range(2)] == [200, 429]
    assert change("a weir by the wood") == 429
    assert browser.get("/admin/password_change/").status_code == 200


@pytest.mark.once
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_while_redis_is_away_the_database_counts_the_same(
    ida: User, valkey: Valkey, fault: str
) -> None:
    getattr(valkey, fault)()
    for _ in range(4):
        assert sign_in(Client(), "wrong").status_code == 200
    assert is_in(sign_in(Client(), PASSWORD))  # given back there, too
    assert [sign_in(Client(), "wrong").status_code for _ in range(2)] == [200, 429]
    assert sign_in(Client(), PASSWORD).status_code == 429
    kept = KeptCount.objects.filter(key__startswith="auth:")
    assert kept.count() == 2
    assert not [each for each in kept if "ida" in each.key or "192." in each.key]


def test_turned_off_nothing_counts(ida: User, settings: Any) -> None:
    settings.ENABLE_RATE_LIMITING = False
    answers = [sign_in(Client(), "wrong") for _ in range(8)]
    assert {each.status_code for each in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[-1]
