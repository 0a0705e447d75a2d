"""A new password by a link in a mail."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services import create_user
from apps.audit.models import AuditEntry
from apps.queue import worker
from apps.queue.models import WorkItem
from tests.web.mailing import deliver, link_in

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD, NEW = "ida@example.com", "a mill by the river", "another mill, upstream"


@pytest.fixture
def ida() -> User:
    return create_user(email=EMAIL, password=PASSWORD, name="Ida")


def ask(browser: Client, email: str = EMAIL, **more: Any) -> Any:
    return browser.post("/password", {"email": email}, **more)


def sign_in(browser: Client, password: str, **more: Any) -> bool:
    given = {"username": EMAIL, "password": password}
    return bool(browser.post("/sign-in", given, **more).status_code == 302)


def form_behind(browser: Client, link: str) -> str:
    """The address of the form that the link leads to; its token is not in it."""
    sent = browser.get(link)
    assert sent.status_code == 302
    assert sent["Location"].endswith("/set-password")
    return str(sent["Location"])


def test_the_way_to_a_new_password(ida: User) -> None:
    browser, elsewhere = Client(), Client()
    assert sign_in(elsewhere, PASSWORD)
    page = browser.get("/sign-in").content.decode()
    assert 'href="/password"' in page
    answer = ask(browser, f" {EMAIL.upper()} ")
    assert answer["Location"] == "/sign-in"
    [message] = deliver()
    assert message.to == [EMAIL]
    assert "60 minutes" in message.body
    form = form_behind(browser, link_in(message))
    page = browser.get(form).content.decode()
    assert 'autocomplete="new-password"' in page
    assert EMAIL in page
    answer = browser.post(form, {"password": NEW})
    assert answer["Location"] == "/sign-in"
    assert "Your password is changed." in browser.get("/sign-in").content.decode()
    assert elsewhere.get("/").status_code == 302  # the other session is over
    assert not sign_in(browser, PASSWORD)
    assert sign_in(browser, NEW)
    entry = AuditEntry.objects.get(action="password.set")
    assert entry.actor_id == ida.pk
    assert NEW not in str(entry.detail)


def test_a_link_is_good_once_and_not_for_long(ida: User, settings: Any) -> None:
    browser = Client()
    ask(browser)
    link = link_in(deliver()[0])
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert browser.get(link)["Location"] == "/password"
    settings.PASSWORD_RESET_TIMEOUT = 3600
    form = form_behind(browser, link)
    browser.post(form, {"password": NEW})
    assert Client().get(link)["Location"] == "/password"
    assert browser.post(form, {"password": "a third mill, downstream"})["Location"] == "/password"
    assert "was used" in browser.get("/password").content.decode()
    ida.refresh_from_db()
    assert ida.check_password(NEW)


@pytest.mark.parametrize("password", ["short", "123456789012345", EMAIL, "", "x" * 1025])
def test_a_bad_password_is_told_beside_its_field(ida: User, password: str) -> None:
    browser = Client()
    ask(browser)
    form = form_behind(browser, link_in(deliver()[0]))
    answer = browser.post(form, {"password": password})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count('role="alert"') == 1
    assert 'aria-invalid="true"' in page
    assert "id_password_error" in page
    assert sign_in(Client(), PASSWORD)


def test_nobody_learns_who_has_an_account(ida: User) -> None:
    gone = create_user(email="gone@example.com", password=PASSWORD)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    create_user(email="without@example.com", password=None)
    told = set()
    for email in (EMAIL, "gone@example.com", "without@example.com", "nobody@example.com"):
        browser = Client()
        answer = ask(browser, email)
        page = browser.get(answer["Location"]).content.decode()
        told.add((answer.status_code, email in page))
    assert told == {(302, True)}
    # What is in line is the same for all, and cannot be read there.
    items = list(WorkItem.objects.all())
    assert len(items) == 4
    assert {(each.kind, each.lane, each.title) for each in items} == {
        ("mail.reset", "email", "Mail: a new password")
    }
    assert not [each for each in items if "example" in str(each.payload)]
    assert not AuditEntry.objects.exists()  # which strangers could fill
    assert [message.to for message in deliver()] == [[EMAIL]]


def test_a_link_of_nobody_leads_back(ida: User) -> None:
    for link in ("/password/x/y", "/password/MQ/set-password", "/password/OTk5OTk5/abc-def"):
        assert Client().get(link)["Location"] == "/password"


def test_mails_are_limited_by_address_and_by_account(ida: User, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    for number in range(5):
        assert ask(Client(), REMOTE_ADDR=f"192.0.2.{number}").status_code == 302
    answer = ask(Client(), REMOTE_ADDR="192.0.2.9")
    assert answer.status_code == 429
    assert "Try again in" in answer.content.decode()
    assert len(deliver()) == 1  # those that still wait are one
    for number in range(5):
        ask(Client(), f"nobody{number}@example.com", REMOTE_ADDR="198.51.100.1")
    assert ask(Client(), "else@example.com", REMOTE_ADDR="198.51.100.1").status_code == 429


def test_bad_links_are_limited_by_address(ida: User, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    answers = [Client().get(f"/password/MQ/guess-{number}") for number in range(6)]
    assert [each.status_code for each in answers] == [302] * 5 + [429]


def test_a_mail_lets_in_whom_a_stranger_locked_out(ida: User, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    for number in range(5):
        sign_in(Client(), "wrong", REMOTE_ADDR=f"198.51.100.{number}")
    browser = Client()
    assert not sign_in(browser, PASSWORD)
    ask(browser)
    browser.post(form_behind(browser, link_in(deliver()[0])), {"password": NEW})
    assert sign_in(browser, NEW)


def test_a_worker_sends_it_and_a_mail_server_that_is_away_is_tried_again(
    ida: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(Client())
    with monkeypatch.context() as patch:
        patch.setattr("apps.web.mails.send_mail", _refuse)
        worker.work_off("email")
    item = WorkItem.objects.get()
    assert (item.state, item.error_code) == ("retry_wait", "work.unsent")
    assert mail.outbox == []
    WorkItem.objects.update(available_at=timezone.now())
    worker.work_off("email")
    item.refresh_from_db()
    assert item.state == "succeeded"
    assert [message.to for message in mail.outbox] == [[EMAIL]]
    assert not AuditEntry.objects.exists()


def _refuse(*_: object) -> None:
    raise ConnectionRefusedError("the mail server is away")


def test_a_form_from_elsewhere_sends_no_mail(ida: User) -> None:
    assert ask(Client(enforce_csrf_checks=True)).status_code == 403
    assert not WorkItem.objects.exists()


def test_an_address_that_is_none_is_told(ida: User) -> None:
    page = ask(Client(), "ida").content.decode()
    assert "Enter a valid email address." in page
    assert not WorkItem.objects.exists()
