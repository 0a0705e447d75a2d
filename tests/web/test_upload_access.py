"""Who may make a job from the page, and that no forged form does."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.actor import SESSION_KEY
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_organization, create_user
from apps.jobs.models import BatchJob
from tests.conftest import ClientFor
from tests.jobs.forms import (
    BOUNDARY,
    FORM_TYPE,
    assert_nothing_stored,
    body_of,
    field,
    part,
)
from tests.web.uploading import PAGE, Browser, assert_refused


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return Path(settings.DOCMILL_DATA_DIR)


@pytest.fixture
def browser(alice: User, acme: Organization) -> Browser:
    return Browser(alice, acme)


# --- forged forms --------------------------------------------------------------------------------


def test_without_a_good_token_before_the_files_no_job_is_made(
    browser: Browser, data_dir: Path
) -> None:
    key, token = field("idempotency_key", browser.key), "csrfmiddlewaretoken"
    forms = {
        "no token": [key, part()],
        "no token and no file": [key],
        "an empty token": [field(token, ""), key, part()],
        "a wrong token": [field(token, "x" * 64), key, part()],
        "no token's shape": [field(token, "x"), key, part()],
        "a token after the files": [key, part(), field(token, browser.token)],
    }
    for what, parts in forms.items():
        assert browser.post(*parts).status_code == 403, what
        assert_nothing_stored(data_dir)


def test_the_files_of_a_forged_form_are_not_read(browser: Browser, data_dir: Path) -> None:
    """Cut off in the middle of its file, it is told to be forged all the same."""
    opened = f"--{BOUNDARY}\r\n".encode() + part(b"x" * 10_000)
    answer = browser.client.generic("POST", PAGE, opened, FORM_TYPE)
    assert answer.status_code == 403
    assert_nothing_stored(data_dir)


def test_a_token_in_the_header_does_not_count_here(browser: Browser, data_dir: Path) -> None:
    answer = browser.post(
        field("idempotency_key", browser.key), part(), **{"X-CSRFToken": browser.token}
    )
    assert answer.status_code == 403
    assert_nothing_stored(data_dir)


def test_a_form_of_another_site_makes_no_job_even_with_the_token(
    browser: Browser, data_dir: Path
) -> None:
    for origin in ("https://evil.example", "null"):
        answer = browser.post(*browser.fields(), part(), Origin=origin)
        assert answer.status_code == 403
        assert_nothing_stored(data_dir)
    assert browser.post(*browser.fields(), part(), Origin="http://testserver").status_code == 303


def test_without_the_cookie_no_job_is_made(browser: Browser, data_dir: Path) -> None:
    del browser.client.cookies["csrftoken"]
    assert browser.send(part()).status_code == 403
    assert_nothing_stored(data_dir)


# --- people --------------------------------------------------------------------------------------


def test_readers_are_told_why_they_may_not(
    bob: User, client_for: ClientFor, data_dir: Path
) -> None:
    client = client_for(bob)
    for answer in (
        client.get(PAGE),
        client.generic("POST", PAGE, body_of([part()]), FORM_TYPE),
    ):
        assert answer.status_code == 403
        assert "Your role in Acme is reader" in answer.content.decode()
    assert f'href="{PAGE}"' not in client.get("/jobs").content.decode()
    assert_nothing_stored(data_dir)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.CONTRIBUTOR])
def test_admins_and_contributors_may(acme: Organization, role: Role) -> None:
    user = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=user, role=role)
    assert Browser(user, acme).send(part()).status_code == 303
    assert BatchJob.objects.get().created_by == user


def test_who_is_not_signed_in_is_led_to_the_sign_in(db: None, data_dir: Path) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.get(PAGE)["Location"] == f"/sign-in?next={PAGE}"
    answer = client.generic("POST", PAGE, body_of([part()]), FORM_TYPE)
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in?next=/")
    assert_nothing_stored(data_dir)


def test_a_job_belongs_to_the_organization_that_its_sender_works_in(
    browser: Browser, charlie: User, other: Organization, client_for: ClientFor
) -> None:
    """The same key in two organizations is two jobs, and neither sees the other's."""
    stranger = Browser(charlie, other)
    stranger.key = browser.key
    mine, theirs = browser.send(part())["Location"], stranger.send(part())["Location"]
    assert mine != theirs
    jobs = BatchJob.objects.in_organization(other)
    assert [f"/jobs/{job.pk}" for job in jobs] == [theirs]


def test_after_a_switch_in_another_tab_nothing_goes_where_nobody_looked(
    browser: Browser, alice: User, acme: Organization, data_dir: Path
) -> None:
    second = create_organization(name="Second", owner=alice)
    opened = {"organization": str(acme.pk)}
    page = browser.client.get(PAGE).content.decode()
    assert f'name="organization" value="{acme.pk}" data-name="Acme"' in page
    session = browser.client.session
    session[SESSION_KEY] = str(second.pk)
    session.save()
    answer = browser.send(part(), name="March", **opened)
    assert_refused(answer, 409, "You now work in Second. Send again to send there.")
    assert 'value="March"' in answer.content.decode()
    assert f'name="organization" value="{second.pk}"' in answer.content.decode()
    assert_nothing_stored(data_dir)
    assert browser.send(part(), organization=str(second.pk)).status_code == 303
    assert BatchJob.objects.get().organization == second
