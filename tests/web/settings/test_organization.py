"""Naming, making and deleting organizations, and one's own account."""

from pathlib import Path

import pytest
from django.test import Client

from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import organizations, remove_closed
from tests.accounts.people import PASSWORD, join, roles_in
from tests.batches import submit
from tests.conftest import ClientFor
from tests.web.settings.reading import problems, refusal, text_of, told

pytestmark = [pytest.mark.django_db, pytest.mark.once]

HERE = "/settings/organization"


def test_the_name(browser: Client, acme: Organization) -> None:
    answer = browser.post(HERE, {"label": " Acme\tLtd "}, follow=True)
    assert told(answer) == ["It is called Acme Ltd now."]
    acme.refresh_from_db()
    assert acme.name == "Acme Ltd"
    for bad in ("", "x" * 201, "\x07"):
        assert set(problems(browser.post(HERE, {"label": bad}))) == {"id_label"}


def test_who_may_not_is_not_offered_it(acme: Organization, client_for: ClientFor) -> None:
    for role in (Role.CONTRIBUTOR, Role.READER):
        browser = client_for(join(acme, str(role), role).user)
        page = text_of(browser.get(HERE))
        assert 'name="label"' not in page
        assert f"{HERE}/delete" not in page
        assert browser.post(HERE, {"label": "Mine"}).status_code == 403
    admin = client_for(join(acme, "gil", Role.ADMIN).user)
    page = text_of(admin.get(HERE))
    assert 'name="label"' in page
    assert f"{HERE}/delete" not in page
    assert admin.get(f"{HERE}/delete").status_code == 403
    assert admin.post(f"{HERE}/delete", {"typed": "Acme"}).status_code == 403
    assert roles_in(acme)


def test_another_one_is_made_and_worked_in(browser: Client, owner: User) -> None:
    answer = browser.post(f"{HERE}/new", {"label": "Second"}, follow=True)
    assert told(answer) == ["You now work in Second."]
    assert '<summary title="Second">' in text_of(answer)
    second = Organization.objects.get(name="Second")
    assert Membership.objects.get(organization=second).role == Role.OWNER
    assert set(problems(browser.post(f"{HERE}/new", {"label": " "}))) == {"id_label"}


def test_they_are_bounded(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organizations, "MAX_OWNED", 2)
    answer = browser.post(f"{HERE}/new", {"label": "Third"})
    assert "You own 2 organizations" in refusal(answer)
    assert not Organization.objects.filter(name="Third").exists()


def test_it_is_deleted_by_who_types_its_name(
    browser: Client, acme: Organization, data_dir: Path
) -> None:
    path = f"{HERE}/delete"
    assert set(problems(browser.post(path, {"typed": "acme"}))) == {"id_typed"}
    submit(acme, "text")
    assert "1 job is not finished" in refusal(browser.post(path, {"typed": "Acme"}))
    assert Organization.objects.get(pk=acme.pk).closed_at is None
    acme.batchjob_set.all().delete()  # type: ignore[attr-defined]
    answer = browser.post(path, {"typed": "Acme"}, follow=True)
    assert told(answer) == ["Acme is deleted. What was in it is being removed."]
    assert '<summary title="Alice">' in text_of(answer)
    assert "Acme" not in text_of(browser.get("/settings/organization"))
    assert remove_closed() == 1


def test_a_personal_one_goes_with_its_account(owner: User) -> None:
    browser = Client()
    browser.force_login(owner)
    assert f"{HERE}/delete" not in text_of(browser.get(HERE))
    name = owner.personal_organization.name
    assert "goes when you delete that" in refusal(browser.post(f"{HERE}/delete", {"typed": name}))


# --- one's own data -----------------------------------------------------------------------------


def test_it_is_taken_along(browser: Client) -> None:
    assert browser.get("/settings/account/export").status_code == 405
    answer = browser.post("/settings/account/export")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith('attachment; filename="docmill-account-')
    assert b"".join(answer.streaming_content).startswith(b"PK")  # type: ignore[attr-defined]


def test_an_account_is_deleted_by_who_knows_address_and_password(
    browser: Client, owner: User, acme: Organization, bob: User
) -> None:
    path = "/settings/account/delete"
    typed = {"typed": "ALICE@example.com", "password": PASSWORD}
    assert set(problems(browser.post(path, typed | {"typed": "bob@example.com"}))) == {"id_typed"}
    assert set(problems(browser.post(path, typed | {"password": "wrong"}))) == {"id_password"}
    assert "the only owner of Acme" in refusal(browser.post(path, typed))
    Membership.objects.filter(organization=acme, user=bob).update(role=Role.OWNER)
    answer = browser.post(path, typed, follow=True)
    assert answer.redirect_chain == [("/sign-in", 302)]
    assert "Your account is deleted." in text_of(answer)
    assert not User.objects.filter(pk=owner.pk).exists()
    assert browser.get("/").status_code == 302
    again = Client().post("/sign-in", {"username": owner.email, "password": PASSWORD})
    assert again.status_code == 200
