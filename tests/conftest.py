"""The people of the tests: Alice owns Acme, Bob reads there, Charlie owns Other.

Everything is built through services, so that only states that can be reached exist.
"""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.test import Client, override_settings
from hypothesis import HealthCheck
from hypothesis import settings as examples
from rest_framework.test import APIClient

from apps.accounts.actor import SESSION_KEY
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_organization, create_user
from apps.caching import statistics, stores
from apps.caching.cache import cache
from apps.caching.shared_cache import ImpatientFactory
from apps.core import breaker
from apps.jobs import news
from apps.queue import doorbell
from apps.ratelimits import abuse, rulebook
from apps.ratelimits.stores import store
from tests.repeats import _repeats_are_refused

__all__ = ["_repeats_are_refused"]  # for all tests

# How long an example takes says more of what else the machine does than of the code.
examples.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("busy")

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
    monkeypatch.setattr(breaker, "ANSWER_SECONDS", 10.0)
    store.cache_clear()
    abuse._noticed.clear()
    monkeypatch.setattr(rulebook, "book", rulebook.Rulebook(is_new=True))


@pytest.fixture(autouse=True)
def _fresh_cache(_fresh_limits: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this process knows of its cache ends with the test. It tells what it counted when it is
    asked to, so that no test finds what another one counted."""
    monkeypatch.setattr(statistics, "FLUSH_SECONDS", 3600.0)
    stores.store.cache_clear()
    ImpatientFactory._pools.clear()
    cache.__init__()
    statistics.flusher.__init__()
    yield
    if timer := statistics.flusher._timer:
        timer.cancel()
    for thread in threading.enumerate():  # or it gives its place back to the next test's cache
        if thread.name == "cache-refresh":
            thread.join(2)


@pytest.fixture(autouse=True)
def _fresh_doorbell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring that failed in one test silences the process for five seconds, and no other test."""
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)


@pytest.fixture(autouse=True)
def _fresh_news(_fresh_limits: None) -> None:
    """That Redis was away in another test is not remembered."""
    news._breaker.cache_clear()
    news._client.cache_clear()


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
