"""One's own name, address and password."""

from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services import create_user
from apps.audit.models import AuditEntry
from tests.accounts.people import PASSWORD
from tests.web.mailing import deliver, link_in
from tests.web.settings.reading import problems, text_of, told

pytestmark = [pytest.mark.django_db, pytest.mark.once]

HERE = "/settings/profile"
MOVED = "alice@example.org"
NEW = "another mill, upstream"


def change(browser: Client, what: str, **fields: str) -> Any:
    return browser.post(HERE, {"change": what, **fields}, follow=True)


def move(browser: Client, email: str = MOVED, password: str = PASSWORD) -> Any:
    return change(browser, "address", email=email, password=password)


def test_the_name(browser: Client, owner: User) -> None:
    assert told(change(browser, "name", own_name="  Alice\tof Acme ")) == ["Your name is changed."]
    owner.refresh_from_db()
    assert owner.name == "Alice of Acme"
    assert set(problems(change(browser, "name", own_name="x" * 201))) == {"id_name_own_name"}
    assert told(change(browser, "name", own_name=""))
    owner.refresh_from_db()
    assert owner.name == ""


def test_the_way_to_another_address(browser: Client, owner: User) -> None:
    [notice] = told(move(browser, f" {MOVED.upper()} "))
    assert notice.startswith(f"A mail is on its way to {MOVED}.")
    owner.refresh_from_db()
    assert owner.email == "alice@example.com"
    [message] = deliver()
    assert message.to == [MOVED]
    link = link_in(message)
    page = text_of(Client().get(link))
    assert "alice@example.com" in page
    assert MOVED in page
    owner.refresh_from_db()
    assert owner.email == "alice@example.com"  # looking is not confirming
    answer = browser.post(link, follow=True)
    assert told(answer) == [f"You sign in with {MOVED} from now on."]
    owner.refresh_from_db()
    assert owner.email == MOVED
    [message] = deliver()
    assert message.to == ["alice@example.com"]
    assert AuditEntry.objects.filter(action="user.email", actor_id=owner.pk).exists()
    # The link is spent.
    assert "was used" in told(browser.get(link, follow=True))[0]
    assert Client().post("/sign-in", {"username": MOVED, "password": PASSWORD}).status_code == 302


def test_it_asks_for_the_password(browser: Client, owner: User) -> None:
    assert problems(move(browser, password="wrong")) == {
        "id_address_password": "This is not your password."
    }
    assert deliver() == []


@pytest.mark.parametrize("email", ["alice@example.com", "ALICE@example.com", "nobody", "", "a@b"])
def test_an_address_that_is_none_or_ones_own(browser: Client, email: str) -> None:
    assert set(problems(move(browser, email))) == {"id_address_email"}
    assert deliver() == []


def test_the_page_says_the_same_of_an_address_that_is_taken(browser: Client, owner: User) -> None:
    create_user(email="known@example.com", password=None)
    answers = [told(move(browser, email))[0] for email in ("known@example.com", "new@example.com")]
    assert answers[0].replace("known@", "new@") == answers[1]
    known, new = deliver()
    assert link_in(known) == "/password"
    assert link_in(new).startswith("/settings/address/")


def test_an_address_that_is_taken_meanwhile(browser: Client, owner: User) -> None:
    move(browser)
    link = link_in(deliver()[0])
    create_user(email=MOVED, password=None)
    answer = Client().post(link, follow=True)
    assert told(answer) == ["Somebody else uses this e-mail address."]
    owner.refresh_from_db()
    assert owner.email == "alice@example.com"


def test_a_new_password_spends_the_link(browser: Client, owner: User) -> None:
    move(browser)
    link = link_in(deliver()[0])
    change(browser, "password", password=PASSWORD, new_password=NEW)
    assert "was used" in told(Client().post(link, follow=True))[0]
    owner.refresh_from_db()
    assert owner.email == "alice@example.com"


def test_a_link_is_not_good_for_long_nor_when_made_up(
    browser: Client, owner: User, settings: Any
) -> None:
    move(browser)
    link = link_in(deliver()[0])
    settings.PASSWORD_RESET_TIMEOUT = -1
    for path in (link, f"{link}x", "/settings/address/x"):
        assert Client().post(path)["Location"] == "/sign-in"
    owner.refresh_from_db()
    assert owner.email == "alice@example.com"


def test_a_new_password_ends_the_other_sessions(browser: Client, owner: User) -> None:
    elsewhere = Client()
    elsewhere.post("/sign-in", {"username": owner.email, "password": PASSWORD})
    answer = change(browser, "password", password=PASSWORD, new_password=NEW)
    assert told(answer) == ["Your password is changed. You are signed out everywhere else."]
    assert browser.get(HERE).status_code == 200
    assert elsewhere.get(HERE).status_code == 302
    owner.refresh_from_db()
    assert owner.check_password(NEW)


@pytest.mark.parametrize(
    ("password", "new", "field"),
    [
        ("wrong", NEW, "id_password_password"),
        ("", NEW, "id_password_password"),
        (PASSWORD, "short", "id_password_new_password"),
        (PASSWORD, "alice@example.com", "id_password_new_password"),
        (PASSWORD, "", "id_password_new_password"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    browser: Client, owner: User, password: str, new: str, field: str
) -> None:
    answer = change(browser, "password", password=password, new_password=new)
    assert set(problems(answer)) == {field}
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


def test_guesses_count_like_those_at_the_sign_in(
    browser: Client, owner: User, settings: Any
) -> None:
    settings.LIMIT_AUTH = "5/15min"
    wrong = [
        change(browser, "password", password=f"guess {number}", new_password=NEW).status_code
        for number in range(6)
    ]
    assert wrong == [200] * 5 + [429]
    assert change(browser, "address", email=MOVED, password="guess").status_code == 429
    path = "/settings/account/delete"
    typed = {"typed": owner.email, "password": PASSWORD}
    assert browser.post(path, typed).status_code == 429
    assert User.objects.filter(pk=owner.pk).exists()


def test_what_goes_well_is_given_back(browser: Client, owner: User, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    passwords = [PASSWORD, *(f"{NEW} {number}" for number in range(7))]
    for before, after in pairwise(passwords):
        changed = change(browser, "password", password=before, new_password=after)
        assert changed.status_code == 200
    owner.refresh_from_db()
    assert owner.check_password(passwords[-1])


def test_mails_are_limited(browser: Client, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    answers = [move(browser, f"alice{number}@example.org").status_code for number in range(6)]
    assert answers == [200] * 5 + [429]
