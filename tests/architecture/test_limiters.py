"""Every address names its limits, and every limit of the table is named by an address."""

from typing import Any

import pytest

from apps.ratelimits.limiters import TABLE
from tests.routes import every_route

pytestmark = pytest.mark.once

NEVER = {
    "errors": "documentation",
    "errors/<str:code>": "documentation",
    "api/docs": "documentation",
    "api/health": "says whether the service is well",
    "api/health/details": "the same for operators, also while nothing else answers",
    "api/rate-limits": "what is left is asked for free",
    "api/schema": "documentation",
    "favicon.ico": "static",
    "health": "says whether the service is well",
    "health/live": "says whether the service is well",
    "health/ready": "says whether the service is well",
    "metrics": "Prometheus counts on it",
    "robots.txt": "static",
}
"""Route -> why it has no limits. The admin has none either: it is where limits are mended."""
LATER = {
    "search": "the documents bring it",
    "chat": "the AI brings it",
    "ai": "the AI brings it",
    "deep-analysis": "the AI brings it",
    "cost-analysis": "the AI brings it",
    "upload": "the documents bring it",
    "share": "the documents bring it",
}
"""Limiter -> which part has the first address that it counts."""
BEHIND_ALL = {"global", "anonymous"}
"""`global` counts with each of the others, `anonymous` in place of those that count a person."""
NAMED = {
    "api/batch/upload": {"api", "batch-upload", "ocr"},
    "api/batch/uploads": {"api"},
    "api/batch/uploads/<uuid:upload_id>": {"api"},
    "api/batch/jobs": {"api"},
    "api/batch/jobs/events": {"live"},
    "api/batch/jobs/<uuid:job_id>/events": {"live"},
    "api": {"api"},
    "": {"api", "live"},
    "jobs": {"api", "live"},
    "files/<uuid:file_id>": {"api", "live"},
    "jobs/<uuid:job_id>": {"api"},
    "jobs/<uuid:job_id>/live": {"live"},
    "files/<uuid:file_id>/live": {"live"},
    "api/notifications": {"api"},
    "api/notifications/unread": {"live"},
    "notifications": {"api", "live"},
    "notifications/badge": {"live"},
    "jobs/new": {"api", "batch-upload", "ocr"},
    "sign-in": {"auth"},
    "sign-up": {"auth"},
    "sign-up/<str:token>": {"auth"},
    "password": {"auth"},
    "unsubscribe/<str:token>": {"anonymous"},
    "password/<str:uidb64>/<str:token>": {"auth"},
    "invitations/<str:token>": {"auth"},
    "settings/address/<str:token>": {"auth"},
    "settings/profile": {"api", "auth"},
    "settings/members": {"api", "auth"},
    "settings/account/delete": {"api", "auth"},
    "api/invitations": {"api", "auth"},
    "api/invitations/<uuid:invitation_id>/resend": {"api", "auth"},
}
GUARDED = {
    "jobs/new": "upload",
    "sign-in": "sign-in",
    "sign-up": "sign-up",
    "sign-up/<str:token>": "sign-up",
    "password": "reset",
    "unsubscribe/<str:token>": "unsubscribe",
    "password/<str:uidb64>/<str:token>": "reset",
    "invitations/<str:token>": "invitation",
    "settings/address/<str:token>": "address",
}


def limiters_of(route: str) -> set[str] | None:
    """Those that the view of the route names; None for one that names none."""
    view: Any = every_route()[route].callback
    named = getattr(view, "cls", getattr(view, "view_class", view))
    if not hasattr(named, "limiters"):
        return None
    return {*named.limiters, *getattr(named, "counted_within", ())}


OURS = [route for route in every_route() if not route.startswith("admin/")]


@pytest.mark.parametrize("route", OURS)
def test_every_address_names_its_limiters(route: str) -> None:
    named = limiters_of(route)
    assert named is not None, f"{route} names no limiters"
    assert named <= set(TABLE)
    assert bool(named) == (route not in NEVER)


@pytest.mark.parametrize("route", NAMED)
def test_the_limiters_of_an_address(route: str) -> None:
    assert limiters_of(route) == NAMED[route]


def test_every_limiter_has_an_address_or_waits_for_its_part() -> None:
    named = {name for route in OURS for name in limiters_of(route) or ()}
    assert named | BEHIND_ALL | set(LATER) == set(TABLE)
    assert not named & set(LATER), "its part is there: take it out of LATER"


def test_pages_that_anybody_may_open_are_guarded() -> None:
    found = {
        route: getattr(pattern.callback, "guard", None) for route, pattern in every_route().items()
    }
    assert {route: group for route, group in found.items() if group} == GUARDED
