"""Who acts in a request, and what they may."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries

from apps.accounts.actor import SESSION_KEY, Actor
from apps.accounts.errors import Forbidden
from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_organization


def in_session(user: User | AnonymousUser, organization_id: object = None) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    request.session = {SESSION_KEY: organization_id} if organization_id else {}
    return request


def test_a_session_acts_in_the_organization_switched_to(bob: User, acme: Organization) -> None:
    actor = Actor.of_request(in_session(bob, str(acme.pk)))

    assert actor == Actor(user=bob, organization=acme, role=Role.READER, key=None)


def test_a_session_starts_in_the_personal_organization(alice: User) -> None:
    alice.personal_organization.memberships.get().delete()
    add_member(organization=alice.personal_organization, user=alice, role=Role.OWNER)

    actor = Actor.of_request(in_session(alice))

    assert (actor.organization, actor.role) == (alice.personal_organization, Role.OWNER)


@pytest.mark.parametrize("left", ["not a uuid", "0b6f7c2e-9d0a-4c1e-8f4b-2f6d1f3f5a10", 7])
def test_a_session_that_names_no_organization_of_the_user(alice: User, left: object) -> None:
    assert Actor.of_request(in_session(alice, left)).organization == alice.personal_organization


def test_a_session_leaves_an_organization_with_its_user(bob: User, acme: Organization) -> None:
    Membership.objects.filter(user=bob, organization=acme).delete()

    actor = Actor.of_request(in_session(bob, str(acme.pk)))

    assert actor.organization == bob.personal_organization


def test_a_session_never_enters_another_organization(charlie: User, acme: Organization) -> None:
    actor = Actor.of_request(in_session(charlie, str(acme.pk)))

    assert actor.organization == charlie.personal_organization


def test_a_session_without_a_personal_organization_takes_the_first_joined(
    bob: User, acme: Organization
) -> None:
    create_organization(name="Joined later", owner=bob)
    Membership.objects.filter(organization__personal_of=bob).delete()

    assert Actor.of_request(in_session(bob)).organization == acme


def test_nobody_acts_without_an_organization(bob: User) -> None:
    Membership.objects.filter(user=bob).delete()

    with pytest.raises(Forbidden):
        Actor.of_request(in_session(bob))


def test_nobody_acts_unknown_or_inactive(bob: User) -> None:
    bob.is_active = False

    for user in (AnonymousUser(), bob):
        with pytest.raises(Forbidden):
            Actor.of_request(in_session(user))


def test_the_actor_is_found_with_one_query_once(
    alice: User, acme: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = in_session(alice, str(acme.pk))

    with django_assert_num_queries(1):
        first = Actor.of_request(request)
        assert Actor.of_request(request) is first
        assert first.organization.name == "Acme"


def test_a_remembered_actor_is_not_taken_for_somebody_else(alice: User, bob: User) -> None:
    request = in_session(alice)
    Actor.of_request(request)

    request.user = bob

    assert Actor.of_request(request).user == bob


def test_a_key_on_a_request_acts_where_the_key_belongs(alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci", role=Role.READER)
    request = in_session(alice, str(alice.personal_organization.pk))
    request.auth = key  # type: ignore[attr-defined]  # as Django REST framework leaves it

    actor = Actor.of_request(request)

    assert (actor.organization, actor.role, actor.key) == (acme, Role.READER, key)


def test_a_key_on_a_request_has_its_users_role_there(alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    Membership.objects.filter(user=alice, organization=acme).update(role=Role.READER)
    request = in_session(alice)
    request.auth = key  # type: ignore[attr-defined]  # as Django REST framework leaves it

    assert Actor.of_request(request).role == Role.READER

    Membership.objects.filter(user=alice, organization=acme).delete()
    request = in_session(alice)
    request.auth = key  # type: ignore[attr-defined]  # as Django REST framework leaves it
    with pytest.raises(Forbidden):
        Actor.of_request(request)


def test_a_contributor_changes_what_they_made(bob: User, alice: User, acme: Organization) -> None:
    actor = Actor(user=bob, organization=acme, role=Role.CONTRIBUTOR)

    assert actor.may("create", "jobs")
    assert actor.may("delete", "jobs", created_by_id=bob.pk)
    assert not actor.may("delete", "jobs", created_by_id=alice.pk)
    assert not actor.may("delete", "jobs")


def test_what_is_not_allowed_is_refused(bob: User, alice: User, acme: Organization) -> None:
    actor = Actor(user=bob, organization=acme, role=Role.CONTRIBUTOR)

    actor.require("delete", "jobs", created_by_id=bob.pk)
    with pytest.raises(Forbidden) as refused:
        actor.require("delete", "jobs", created_by_id=alice.pk)

    assert (refused.value.code, refused.value.status) == ("auth.forbidden", 403)
