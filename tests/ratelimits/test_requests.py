"""What one request notes of its limits."""

from django.http import HttpRequest
from django.test import RequestFactory

from apps.ratelimits.decision import Decision, Part, Standing
from apps.ratelimits.requests import decisions_of, headers_of
from apps.ratelimits.windows import Window


def counted(limiter: str, used: int) -> Decision:
    standing = Standing(Window(10, 60), used, 1000)
    return Decision(True, (Part(limiter, "user", f"{limiter}:u1", (standing,)),), at_ms=1)


def asked() -> HttpRequest:
    request = RequestFactory().get("/")
    decisions_of(request).append(counted("api", 3))
    assert headers_of(request)["X-RateLimit-Remaining"] == "7"
    return request


def test_headers_tell_of_what_is_counted_after_they_were_asked_for() -> None:
    request = asked()
    decisions_of(request).append(counted("batch-upload", 8))
    assert headers_of(request)["X-RateLimit-Remaining"] == "2"


def test_headers_tell_nothing_of_what_was_given_back_since() -> None:
    request = asked()
    decisions_of(request)[0] = counted("api", 3)._replace(parts=())
    assert headers_of(request) == {}
