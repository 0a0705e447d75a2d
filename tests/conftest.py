"""The people of the tests: Alice owns Acme, Bob reads there, Charlie owns Other.

Everything is built through services, so that only states that can be reached exist.
"""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.test import Client, override_settings
from rest_framework.test import APIClient

from apps.accounts.actor import SESSION_KEY
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_organization, create_user
from apps.ratelimits import abuse, redis_store, rulebook
from apps.ratelimits.stores import store

ApiFor = Callable[[User | str], APIClient]
ClientFor = Callable[[User], Client]


def _shared_organization(user: User) -> Organization:
    """The first organization of `user` that is nobody's personal one, else their own."""
    mine = Organization.objects.visible_to(user)
    shared = mine.filter(personal_of=None).order_by("created_at", "pk").first()
    return shared or mine.get(personal_of=user)


@pytest.fixture(scope="session", autouse=True)
def _static_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pages are drawn without `collectstatic` having run: no manifest of hashed names is asked."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(
        STATIC_ROOT=tmp_path_factory.mktemp("static"),
        STORAGES=settings.STORAGES | {"staticfiles": plain},
    ):
        yield


@pytest.fixture(autouse=True)
def _fresh_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process remembers of limits ends with the test, as what Redis has of them does.

    On a busy machine Redis may answer late; tests/ratelimits/test_away.py is about that. That there
    are no rules a process knows: it need not ask the database.
    """
    monkeypatch.setattr(redis_store, "ANSWER_SECONDS", 10.0)
    store.cache_clear()
    abuse._noticed.clear()
    monkeypatch.setattr(rulebook, "book", rulebook.Rulebook(is_new=True))


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Argon2 takes 0.3 s for a sign-in, which is its purpose; tests/web/test_sessions.py has it."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def acme(db: None) -> Organization:
    owner = create_user(email="alice@example.com", password=None, name="Alice")
    return create_organization(name="Acme", owner=owner)


@pytest.fixture
def alice(acme: Organization) -> User:
    return User.objects.get(email="alice@example.com")


@pytest.fixture
def bob(acme: Organization) -> User:
    user = create_user(email="bob@example.com", password=None, name="Bob")
    add_member(organization=acme, user=user, role=Role.READER)
    return user


@pytest.fixture
def other(db: None) -> Organization:
    owner = create_user(email="charlie@example.com", password=None, name="Charlie")
    return create_organization(name="Other", owner=owner)


@pytest.fixture
def charlie(other: Organization) -> User:
    return User.objects.get(email="charlie@example.com")


@pytest.fixture
def api_for(db: None) -> ApiFor:
    """Makes an API client that shows a token: the one given, or that of a new key of the user
    given, for the organization that the user shares."""

    def make(who: User | str) -> APIClient:
        token = who
        if isinstance(who, User):
            organization = _shared_organization(who)
            _, token = create_api_key(organization=organization, user=who, name="tests")
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client

    return make


@pytest.fixture
def client_for(db: None) -> ClientFor:
    """Makes a browser in which the user given is signed in and has switched to the organization
    that they share."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        session = client.session
        session[SESSION_KEY] = str(_shared_organization(user).pk)
        session.save()
        return client

    return make


@pytest.fixture
def alice_api(alice: User, api_for: ApiFor) -> APIClient:
    return api_for(alice)


@pytest.fixture
def bob_api(bob: User, api_for: ApiFor) -> APIClient:
    return api_for(bob)


@pytest.fixture
def charlie_api(charlie: User, api_for: ApiFor) -> APIClient:
    return api_for(charlie)
