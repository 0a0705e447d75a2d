"""The answers for people, load balancers, uptime probes, orchestrators and operators."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.accounts.errors import Forbidden
from apps.core.problems import method_not_allowed
from apps.health import probes
from apps.health.details import SECONDS, details, is_operator
from apps.health.report import UNHEALTHY, UNKNOWN
from apps.ratelimits.decorators import never_limited


def _read_only(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """`view`, which answers GET and HEAD alone, and is kept nowhere."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed(str(request.method), "GET", "HEAD")
        response = view(request)
        response["Cache-Control"] = "no-store"
        return response

    return never_limited(answer)


@_read_only
def health(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django gives it
    """The state of the service, 200 while it serves (also when degraded), else 503 (H1).

    No authentication, no session, no rate limit: it must answer when all of those are down.
    """
    answer = probes.health()
    return JsonResponse(answer, status=503 if answer["status"] == UNHEALTHY else 200)


@_read_only
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django gives it
    """That this process answers: who gets no answer may kill it. Asks nobody anything (H2)."""
    return JsonResponse({"status": "alive"})


@_read_only
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django gives it
    """Whether requests are to be sent to this process: 200 while the database answers and has this
    version's tables, else 503. It serves without the rest (H2)."""
    answer = probes.readiness()
    is_ready = answer["status"] != UNHEALTHY
    answer["status"] = "ready" if is_ready else "not ready"
    return JsonResponse(answer, status=200 if is_ready else 503)


@_read_only
def health_details(request: HttpRequest) -> HttpResponse:
    """The same as `health`, and what operators want to know besides (H4). 403 for others, 401 for
    who shows no credentials.

    Answers while the database hangs: then it cannot be known who asks, and they get what everybody
    may see, with `details` unknown.
    """
    until = time.monotonic() + SECONDS
    probes.begin()
    may_see = is_operator(request)
    if may_see is False:
        raise Forbidden("They are for staff: sign in as one of them, or show an API key of one.")
    shown = details(until) if may_see else {"status": UNKNOWN}
    answer = probes.health() | {"details": shown}
    return JsonResponse(answer, status=503 if answer["status"] == UNHEALTHY else 200)


ANSWERED_FIRST = {
    "/health": health,
    "/api/health": health,
    "/health/live": live,
    "/health/ready": ready,
}
"""By path: what is answered to whoever reaches the process, by any name and without HTTPS."""
