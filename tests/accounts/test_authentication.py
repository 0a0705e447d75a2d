"""API keys over HTTP, seen through a view that says who came in."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from apps.accounts.actor import SESSION_KEY, Actor
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, create_user, revoke_api_key


class WhoAmI(APIView):
    """With the authentication and the permission that the settings give every view."""

    def get(self, request: Request) -> Response:
        actor = Actor.of_request(request)
        actor.require("read", "jobs")
        return Response(
            {
                "user": actor.user.email,
                "organization": actor.organization.name,
                "role": actor.role,
                "key": actor.key and actor.key.name,
            }
        )


class Unconcerned(APIView):
    """Never asks who came in."""

    def get(self, request: Request) -> Response:
        return Response()


def ask(
    authorization: str | None = None, user: User | None = None, view: type[APIView] = WhoAmI
) -> Response:
    request = APIRequestFactory().get("/")
    if authorization is not None:
        request.META["HTTP_AUTHORIZATION"] = authorization
    if user is not None:
        request.user = user
        request.session = {SESSION_KEY: ""}
    response = view.as_view()(request)
    assert isinstance(response, Response)
    return response


def refusal(authorization: str) -> str:
    """The code of the 401 that must come."""
    response = ask(authorization)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    return str(response.data["code"])


@pytest.fixture
def key_and_token(alice: User, acme: Organization) -> tuple[ApiKey, str]:
    return create_api_key(organization=acme, user=alice, name="ci")


@pytest.fixture
def key(key_and_token: tuple[ApiKey, str]) -> ApiKey:
    return key_and_token[0]


@pytest.fixture
def bearer(key_and_token: tuple[ApiKey, str]) -> str:
    return f"Bearer {key_and_token[1]}"


class Clock:
    """Docmill's time, which a test sets forward."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(timezone.now())
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    return clock


def test_a_good_key_acts_for_its_user_in_its_organization(bearer: str) -> None:
    response = ask(bearer)

    assert response.status_code == 200
    assert response.data == {
        "user": "alice@example.com",
        "organization": "Acme",
        "role": "owner",
        "key": "ci",
    }


def test_the_scheme_is_read_in_any_case(bearer: str) -> None:
    assert ask(bearer.replace("Bearer", "bearer")).status_code == 200


def test_a_key_wins_over_a_session(bearer: str, bob: User) -> None:
    assert ask(bearer, user=bob).data["user"] == "alice@example.com"


@pytest.mark.parametrize("token", ["", "dm_", "dm_unknown", "x", "dm_\x00", "dm_é", "dm_ dm_"])
def test_an_unknown_token(bearer: str, token: str) -> None:
    assert refusal(f"Bearer {token}") == "auth.invalid_key"


def test_a_token_with_something_added(bearer: str) -> None:
    assert refusal(bearer + "x") == "auth.invalid_key"


def test_the_stored_digest_is_no_token(key: ApiKey) -> None:
    assert refusal(f"Bearer {key.digest}") == "auth.invalid_key"


def test_a_bad_token_is_refused_in_a_good_session_too(alice: User) -> None:
    response = ask("Bearer dm_unknown", user=alice)

    assert (response.status_code, response.data["code"]) == (401, "auth.invalid_key")


def test_without_a_key_one_is_asked_for(db: None) -> None:
    for authorization in (None, "Basic YWxpY2U6eA=="):
        response = ask(authorization, view=Unconcerned)
        assert (response.status_code, response.data["code"]) == (401, "auth.required")
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key(key: ApiKey, bearer: str) -> None:
    revoke_api_key(key=key)

    assert refusal(bearer) == "auth.revoked_key"


def test_a_key_lives_until_the_moment_of_its_expiry(
    alice: User, acme: Organization, clock: Clock
) -> None:
    _, token = create_api_key(
        organization=acme, user=alice, name="short", expires_at=clock.now + timedelta(days=1)
    )

    clock.forward(hours=23, minutes=59)
    assert ask(f"Bearer {token}").status_code == 200
    clock.forward(minutes=1)
    assert refusal(f"Bearer {token}") == "auth.expired_key"


def test_the_key_of_an_inactive_user(alice: User, bearer: str) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert refusal(bearer) == "auth.inactive_user"


def test_a_key_ends_with_the_membership(bob: User, acme: Organization) -> None:
    _, token = create_api_key(organization=acme, user=bob, name="ci")
    Membership.objects.filter(user=bob, organization=acme).delete()

    assert refusal(f"Bearer {token}") == "auth.not_a_member"


def test_a_key_falls_with_its_user(alice: User, acme: Organization, bearer: str) -> None:
    Membership.objects.filter(user=alice, organization=acme).update(role=Role.READER)

    assert ask(bearer).data["role"] == "reader"


def test_a_key_does_not_rise_with_its_user(bob: User, acme: Organization) -> None:
    _, token = create_api_key(organization=acme, user=bob, name="ci")
    Membership.objects.filter(user=bob, organization=acme).update(role=Role.ADMIN)

    assert ask(f"Bearer {token}").data["role"] == "reader"


def test_a_role_elsewhere_is_no_role_here(bob: User, acme: Organization) -> None:
    _, here = create_api_key(organization=acme, user=bob, name="here", role=Role.OWNER)
    _, home = create_api_key(organization=bob.personal_organization, user=bob, name="home")

    assert ask(f"Bearer {here}").data["role"] == "reader"
    assert ask(f"Bearer {home}").data["role"] == "owner"


def test_a_refused_key_leaves_no_trace_of_use(key: ApiKey, bearer: str) -> None:
    revoke_api_key(key=key)
    refusal(bearer)

    assert ApiKey.objects.get().last_used_at is None


def test_one_query_and_one_more_a_minute(
    bearer: str, clock: Clock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        ask(bearer)
    first = ApiKey.objects.get().last_used_at
    assert first == clock.now

    clock.forward(seconds=59)
    with django_assert_num_queries(1):
        ask(bearer)
    assert ApiKey.objects.get().last_used_at == first

    clock.forward(seconds=1)
    with django_assert_num_queries(2):
        ask(bearer)
    assert ApiKey.objects.get().last_used_at == clock.now


def test_a_session_acts_too(bob: User) -> None:
    response = ask(user=bob)

    assert response.data["user"] == "bob@example.com"
    assert response.data["key"] is None


def test_a_member_of_nothing_is_refused(db: None) -> None:
    nobody = create_user(email="nobody@example.com", password=None)
    Membership.objects.filter(user=nobody).delete()

    response = ask(user=nobody, view=Unconcerned)

    assert (response.status_code, response.data["code"]) == (403, "auth.forbidden")
