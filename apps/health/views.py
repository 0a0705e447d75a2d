"""The answer for people, load balancers and uptime probes."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core.problems import method_not_allowed
from apps.health import probes
from apps.health.report import UNHEALTHY
from apps.ratelimits.decorators import never_limited

PATHS = frozenset({"/health", "/api/health"})


@never_limited
def health(request: HttpRequest) -> HttpResponse:
    """The state of the service, 200 while it serves (also when degraded), else 503 (H1).

    No authentication, no session, no rate limit: it must answer when all of those are down.
    """
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed(str(request.method), "GET", "HEAD")
    answer = probes.health()
    response = JsonResponse(answer, status=503 if answer["status"] == UNHEALTHY else 200)
    response["Cache-Control"] = "no-store"
    return response
