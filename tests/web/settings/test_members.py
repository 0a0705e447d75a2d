"""The page of members and invitations, and where the link of an invitation leads."""

from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Invitation, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_user, invite
from apps.queue.models import WorkItem
from tests.accounts.people import PASSWORD, actor_of, join, membership_of, roles_in
from tests.conftest import ClientFor
from tests.web.mailing import deliver, link_in
from tests.web.settings.reading import problems, refusal, text_of, told

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NEW = "new@example.com"
HERE = "/settings/members"


def send(browser: Client, email: str = NEW, role: str = "reader") -> Any:
    return browser.post(HERE, {"email": email, "role": role}, follow=True)


def test_the_way_of_an_invitation_to_an_account(browser: Client, acme: Organization) -> None:
    assert told(send(browser)) == [f"An invitation is on its way to {NEW}."]
    assert NEW in text_of(browser.get(HERE))
    [message] = deliver()
    assert message.to == [NEW]
    assert "Acme" in message.body
    assert "alice@example.com" in message.body
    assert "Acme" not in message.subject  # anybody may call an organization anything
    link = link_in(message)
    guest = Client()
    page = text_of(guest.get(link))
    assert 'autocomplete="new-password"' in page
    answer = guest.post(link, {"name": "Nell", "password": PASSWORD}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert told(answer) == ["You are a member of Acme now, and work in it."]
    assert '<summary title="Acme">' in text_of(answer)
    assert roles_in(acme)[NEW] == Role.READER
    assert "device" in guest.cookies
    # The link has served.
    again = Client().get(link, follow=True)
    assert again.redirect_chain == [("/sign-in", 302)]
    assert "not good any more" in told(again)[0]
    assert NEW in text_of(browser.get(HERE))  # as a member


def test_who_has_an_account_signs_in_and_accepts(browser: Client, acme: Organization) -> None:
    create_user(email=NEW, password=PASSWORD)
    send(browser)
    link = link_in(deliver()[0])
    guest = Client()
    page = text_of(guest.get(link))
    assert 'name="password"' not in page
    assert f"/sign-in?next={link.replace(':', '%3A').replace('/', '%2F')}" in page
    answer = guest.post(
        f"/sign-in?next={link}", {"username": NEW, "password": PASSWORD}, follow=True
    )
    assert answer.redirect_chain == [(link, 302)]
    assert "Accept</button>" in text_of(answer)
    assert NEW not in roles_in(acme)
    guest.post(link)
    assert roles_in(acme)[NEW] == Role.READER


def test_an_account_is_not_made_anew_through_a_link(browser: Client, acme: Organization) -> None:
    send(browser)
    link = link_in(deliver()[0])
    create_user(email=NEW, password=PASSWORD)
    answer = Client().post(link, {"name": "Eve", "password": "something else, long"}, follow=True)
    assert "Sign in with that address" in text_of(answer)
    assert User.objects.get(email=NEW).check_password(PASSWORD)


def test_it_is_not_for_who_is_signed_in_as_somebody_else(
    browser: Client, acme: Organization, charlie: User, client_for: ClientFor
) -> None:
    send(browser)
    link = link_in(deliver()[0])
    guest = client_for(charlie)
    assert "the invitation is for another address" in text_of(guest.get(link))
    guest.post(link)
    assert "charlie@example.com" not in roles_in(acme)
    out = guest.post(link, {"change": "sign-out"}, follow=True)
    assert "Make the account and accept" in text_of(out)
    assert Invitation.objects.exists()


def test_a_bad_password_is_told_beside_its_field(browser: Client, acme: Organization) -> None:
    send(browser)
    link = link_in(deliver()[0])
    answer = Client().post(link, {"name": "Nell", "password": "short"})
    assert set(problems(answer)) == {"id_password"}
    assert not User.objects.filter(email=NEW).exists()


def test_a_mail_says_the_same_whether_there_is_an_account(browser: Client) -> None:
    create_user(email="known@example.com", password=PASSWORD)
    answers = [told(send(browser, email)) for email in ("known@example.com", NEW)]
    assert [each[0].replace("known@", "new@") for each in answers] == [answers[1][0]] * 2
    known, new = deliver()
    assert known.subject == new.subject
    assert known.body.count("\n") == new.body.count("\n")
    items = [str(each.payload) for each in WorkItem.objects.all()]
    assert not [each for each in items if "example" in each]


def test_what_is_refused_is_told_at_the_form(
    browser: Client, acme: Organization, bob: User, alice: User
) -> None:
    assert "is a member already" in problems(send(browser, "BOB@example.com"))["id_invite_email"]
    send(browser)
    assert "is invited already" in problems(send(browser))["id_invite_email"]
    assert "valid" in problems(send(browser, "nobody"))["id_invite_email"]
    assert "Select a valid choice" in problems(send(browser, NEW, "king"))["id_invite_role"]
    assert Invitation.objects.count() == 1


def test_a_mailbox_is_not_flooded(browser: Client, acme: Organization, settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    send(browser)
    again = f"/settings/invitations/{Invitation.objects.get().pk}/resend"
    answers = [browser.post(again).status_code for _ in range(5)]
    assert answers == [302] * 4 + [429]
    # What was refused changed nothing, and others are invited as before.
    assert told(send(browser, "other@example.com"))
    browser.post(f"/settings/invitations/{Invitation.objects.get(email=NEW).pk}/revoke")
    assert send(browser).status_code == 429
    assert not Invitation.objects.filter(email=NEW).exists()


def test_a_revoked_invitation_is_not_mailed_and_leads_nowhere(browser: Client) -> None:
    send(browser)
    invitation = Invitation.objects.get()
    path = f"/settings/invitations/{invitation.pk}/revoke"
    assert "Revoke this invitation?" in text_of(browser.get(path))
    assert Invitation.objects.exists()
    assert told(browser.post(path, follow=True)) == [f"The invitation to {NEW} is revoked."]
    assert deliver() == []
    assert browser.post(path).status_code == 404


def test_bad_links_are_limited(settings: Any) -> None:
    settings.LIMIT_AUTH = "5/15min"
    answers = [Client().get(f"/invitations/guess-{number}").status_code for number in range(6)]
    assert answers == [302] * 5 + [429]
    assert mail.outbox == []


# --- members ------------------------------------------------------------------------------------


def test_roles_are_given_and_members_removed(
    browser: Client, acme: Organization, bob: User
) -> None:
    path = f"/settings/members/{membership_of(acme, bob).public_id}"
    assert told(browser.post(path, {"role": "admin"}, follow=True)) == ["Bob is an admin now."]
    assert roles_in(acme)["bob@example.com"] == Role.ADMIN
    for bad in ({}, {"role": "king"}):
        assert browser.post(path, bad).status_code == 400
    page = text_of(browser.get(f"{path}/remove"))
    assert "Remove Bob?" in page
    assert "bob@example.com" in roles_in(acme)
    assert told(browser.post(f"{path}/remove", follow=True)) == ["Bob is not a member any more."]
    assert "bob@example.com" not in roles_in(acme)


def test_the_last_owner_is_told_why_they_stay(browser: Client, acme: Organization) -> None:
    path = f"/settings/members/{membership_of(acme, User.objects.get()).public_id}"
    for answer in (
        browser.post(path, {"role": "reader"}, follow=True),
        browser.post(f"{path}/remove", follow=True),
    ):
        assert told(answer) == ["Make somebody else an owner first: an organization needs one."]
    assert roles_in(acme) == {"alice@example.com": Role.OWNER}


def test_who_leaves_works_in_their_own_from_then_on(
    acme: Organization, bob: User, client_for: ClientFor
) -> None:
    browser = client_for(bob)
    path = f"/settings/members/{membership_of(acme, bob).public_id}/remove"
    assert "Leave Acme?" in text_of(browser.get(path))
    answer = browser.post(path, follow=True)
    assert told(answer) == ["You are not a member of Acme any more."]
    assert '<summary title="Bob">' in text_of(answer)


def test_what_each_role_is_offered(acme: Organization, client_for: ClientFor) -> None:
    alice = User.objects.get(email="alice@example.com")
    invite(actor=actor_of(acme, alice), email=NEW, role=Role.OWNER)
    offered = {}
    for role in Role:
        page = text_of(client_for(join(acme, str(role), role).user).get(HERE))
        offered[role] = (
            'id="invite"' in page,
            "/revoke" in page,
            page.count("<select") - ('id="invite"' in page),
            page.count("/remove"),
            page.count('value="owner"'),
        )
    # Of the five who are members at the end, each looked when those before them had joined.
    assert offered == {
        Role.OWNER: (True, True, 2, 2, 3),
        Role.ADMIN: (True, False, 1, 1, 0),
        Role.CONTRIBUTOR: (False, False, 0, 1, 0),
        Role.READER: (False, False, 0, 1, 0),
    }


def test_in_a_personal_organization_nobody_is_invited(alice: User) -> None:
    browser = Client()
    browser.force_login(alice)
    page = text_of(browser.get(HERE))
    assert 'id="invite"' not in page
    assert "/remove" not in page
    answer = browser.post(HERE, {"email": NEW, "role": "reader"})
    assert "alone" in refusal(answer) or "alone" in text_of(answer)
    assert not Invitation.objects.exists()


def test_a_page_costs_the_same_however_many_there_are(
    browser: Client, acme: Organization, alice: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert browser.get(HERE).status_code == 200
        return len(found)

    before = queries()
    for number in range(4):
        join(acme, f"member{number}", Role.READER)
        email = f"guest{number}@example.com"
        invite(actor=actor_of(acme, alice), email=email, role=Role.READER)
    assert queries() == before


def test_names_of_others_are_only_text(browser: Client, acme: Organization) -> None:
    user = join(acme, "mallory", Role.READER).user
    User.objects.filter(pk=user.pk).update(name='<script>alert("x")</script>')
    page = text_of(browser.get(HERE))
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
