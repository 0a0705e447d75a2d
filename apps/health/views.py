"""The answer for people, load balancers and uptime probes."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from apps.health import probes
from apps.health.report import UNHEALTHY

PATHS = frozenset({"/health", "/api/health"})


@require_safe
def health(_: HttpRequest) -> HttpResponse:
    """The state of the service, 200 while it serves (also when degraded), else 503 (H1).

    No authentication, no session, no rate limit: it must answer when all of those are down.
    """
    answer = probes.health()
    response = JsonResponse(answer, status=503 if answer["status"] == UNHEALTHY else 200)
    response["Cache-Control"] = "no-store"
    return response
