"""The organization one works in: switching it, losing it, having none."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_organization
from tests.conftest import ClientFor

pytestmark = [pytest.mark.once, pytest.mark.django_db]


def switch(browser: Client, to: object) -> Any:
    return browser.post("/organization", {"organization": str(to)})


def test_after_the_switch_pages_and_api_are_of_the_other_organization(
    alice: User, acme: Organization, client_for: ClientFor
) -> None:
    second = create_organization(name="Second", owner=alice)
    browser = client_for(alice)
    answer = browser.post("/organization", {"organization": str(second.pk)}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    page = answer.content.decode()
    assert "You now work in Second." in page
    assert '<summary title="Second">' in page
    upload = browser.post(
        "/api/batch/upload", {"file": SimpleUploadedFile("a.txt", b"text", "text/plain")}
    )
    assert upload.status_code == 202, upload.content
    assert browser.get("/api/batch/jobs").json()["results"]
    switch(browser, acme.pk)
    assert browser.get("/api/batch/jobs").json()["results"] == []


@pytest.mark.parametrize("garbage", ["", "x", "1", "\x00", "' or 1=1", "a" * 5000, "{}", "None"])
def test_what_is_no_organization_is_not_found(
    alice: User, client_for: ClientFor, garbage: str
) -> None:
    assert switch(client_for(alice), garbage).status_code == 404


def test_another_organization_is_not_found_either(
    alice: User, other: Organization, client_for: ClientFor
) -> None:
    browser = client_for(alice)
    answer = switch(browser, other.pk)
    assert answer.status_code == 404
    assert "Other" not in answer.content.decode()
    assert '<summary title="Acme">' in browser.get("/").content.decode()


def test_the_menu_offers_ones_own_only(
    alice: User, other: Organization, client_for: ClientFor
) -> None:
    page = client_for(alice).get("/").content.decode()
    offered = re.findall(
        r'<button name="organization" value="[^"]+"(.*?)><span title="[^"]+">(.*?)</span>', page
    )
    assert offered == [(' aria-current="true"', "Acme"), ("", "Alice")]


def test_sixty_organizations_cost_no_more_queries_than_two(
    alice: User, client_for: ClientFor
) -> None:
    browser = client_for(alice)
    with CaptureQueriesContext(connection) as few:
        browser.get("/")
    for number in range(60):
        create_organization(name=f"Number {number:02} {'x' * 150}", owner=alice)
    with CaptureQueriesContext(connection) as many:
        page = browser.get("/").content.decode()
    assert page.count('name="organization"') == 62
    assert len(many) == len(few)


def test_who_was_taken_out_falls_back_to_their_own(bob: User, client_for: ClientFor) -> None:
    browser = client_for(bob)
    assert '<summary title="Acme">' in browser.get("/").content.decode()
    Membership.objects.filter(user=bob, organization__name="Acme").delete()
    answer = browser.get("/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "Acme" not in page
    assert '<summary title="Bob">' in page


def test_a_switch_needs_somebody_signed_in_and_a_form_of_ours(
    alice: User, acme: Organization
) -> None:
    assert switch(Client(), acme.pk)["Location"] == "/sign-in?next=/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert switch(strict, acme.pk).status_code == 403


def test_a_name_is_shown_as_it_is_written(alice: User, client_for: ClientFor) -> None:
    named = create_organization(name="<b>R&D", owner=alice)
    browser = client_for(alice)
    page = browser.post("/organization", {"organization": str(named.pk)}, follow=True)
    assert "You now work in &lt;b&gt;R&amp;D." in page.content.decode()
    assert "<b>R&D" not in page.content.decode()


def test_a_reader_is_offered_no_upload(bob: User, alice: User, client_for: ClientFor) -> None:
    assert 'href="/jobs/new"' in client_for(alice).get("/").content.decode()
    assert 'href="/jobs/new"' not in client_for(bob).get("/").content.decode()


def test_the_link_to_the_admin_is_for_staff(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    assert 'href="/admin/"' not in browser.get("/").content.decode()
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert 'href="/admin/"' in browser.get("/").content.decode()


def test_a_member_of_nothing_is_told_and_can_sign_out(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    Organization.objects.all().delete()
    answer = browser.get("/")
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "You are not a member of any organization" in page
    assert alice.email in page
    assert 'action="/sign-out"' in page
    assert switch(browser, "x").status_code == 403
    assert browser.get("/sign-in")["Location"] == "/"  # and there it ends
    assert browser.post("/sign-out")["Location"] == "/sign-in"
    assert browser.get("/").status_code == 302


def test_whoever_takes_them_in_ends_it(
    bob: User, acme: Organization, client_for: ClientFor
) -> None:
    browser = client_for(bob)
    Membership.objects.filter(user=bob).delete()
    assert browser.get("/").status_code == 403
    add_member(organization=acme, user=bob, role=Role.READER)
    assert browser.get("/").status_code == 200


@pytest.fixture
def with_password(alice: User) -> User:
    alice.set_password("a long enough one")
    alice.save()
    return alice


def sign_in(browser: Client, user: User) -> str:
    form = {"username": user.email, "password": "a long enough one"}
    return browser.post("/sign-in", form, follow=True).content.decode()


def test_a_new_sign_in_goes_on_where_one_worked(with_password: User, acme: Organization) -> None:
    browser = Client()
    assert '<summary title="Alice">' in sign_in(browser, with_password)
    switch(browser, acme.pk)
    kept = browser.cookies["organization"]
    assert kept["httponly"]
    browser.post("/sign-out")
    assert '<summary title="Acme">' in sign_in(browser, with_password)


def test_what_somebody_else_left_in_the_browser_leads_nowhere(
    with_password: User, other: Organization
) -> None:
    for left in (str(other.pk), "garbage"):
        browser = Client()
        browser.cookies["organization"] = left
        assert '<summary title="Alice">' in sign_in(browser, with_password)
