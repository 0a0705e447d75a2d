"""`verify_deployment` against the real application: what it finds, and that it leaves nothing."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest
from django.core.wsgi import get_wsgi_application

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.health.verification import Verification
from apps.jobs.models import BatchJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


application = get_wsgi_application()
"""As config.wsgi has it, without the pool that this process would have from then on."""


def verified(key: str, app: Wsgi = application, url: str = "http://localhost") -> dict[str, Any]:
    """Status and detail by check. There is no worker, and no time to wait for one."""
    with httpx.Client(transport=httpx.WSGITransport(app=app)) as http:
        lines = Verification(url, key, seconds=0, http=http).lines()
        return {line.name: (line.status, line.detail) for line in lines}


@pytest.fixture
def key(alice: User, acme: Organization) -> str:
    return create_api_key(organization=acme, user=alice, name="verify")[1]


def test_what_is_missing_is_named_and_nothing_is_left(key: str) -> None:
    found = verified(key)
    for name in ("live", "headers", "problems", "request id", "key", "upload"):
        assert found[name][0] == "ok", found
    assert found["https"] == (
        "weak",
        "the address is http://: what is sent can be read on the way",
    )
    assert found["events"][0] == "weak"  # this server has no streams
    status, detail = found["work"]
    assert status == "broken"
    assert "does a worker of the lane default run?" in detail
    assert "result" not in found
    assert found["deletion"] == ("ok", "nothing is left of it")
    assert not BatchJob.objects.exists()


def test_a_key_that_is_not_taken_ends_it_before_anything_is_sent(key: str) -> None:
    found = verified("dm_wrong")
    assert found["key"][0] == "broken"
    assert "upload" not in found
    assert not BatchJob.objects.exists()


def without(*names: str) -> Wsgi:
    """A proxy that takes headers away."""

    def proxy(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            kept = [(name, value) for name, value in headers if name.lower() not in names]
            return start_response(status, kept, *rest)

        return application(environ, start)

    return proxy


def test_what_a_proxy_takes_away_is_seen(key: str) -> None:
    found = verified(key, without("content-security-policy", "x-request-id"))
    assert found["headers"] == (
        "broken",
        "missing or changed on the way: content-security-policy",
    )
    assert found["request id"][0] == "broken"


def test_a_proxy_that_does_not_say_how_people_came_is_seen(key: str) -> None:
    found = verified(key, without(), url="https://localhost")
    assert found["https"][0] == "broken"
    assert "HTTPS_ONLY" in found["https"][1]


def test_what_is_not_docmill_is_not_taken_for_it(key: str) -> None:
    def other(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", [("Content-Type", "text/html")])
        return [b"<h1>It works</h1>"]

    found = verified(key, other)
    assert list(found) == ["live"]
    assert found["live"][0] == "broken"
