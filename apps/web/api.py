"""Around the API: what there is, the schema of it, and the page to try it."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.ratelimits.decorators import never_limited

ENTRIES = {
    "upload": ("batch-upload", "Submit files as one job."),
    "jobs": ("job-list", "Your organization's jobs; each leads to its files and results."),
    "pause": ("batch-pause", "What is paused, why and by whom; owners and admins pause here."),
    "rate_limits": ("rate-limits", "What you have left of each limit."),
    "docs": ("api-docs", "Every operation, to read about and to try."),
    "schema": ("schema", "The same as an OpenAPI document, for programs: a download."),
    "health": ("api-health", "Whether the service and what it rests on are well."),
}
"""Name -> (route, sentence)."""


class Root(APIView):
    """Submit documents in batches, follow them, fetch the results.

        curl $DOCMILL/api

    Everything below but this list, the health and the documentation wants an API key, or that
    you are signed in here. Answers are JSON for programs and pages like this one for browsers.
    """

    name = "API"
    limiters = ("api",)
    permission_classes = [AllowAny]
    below = tuple(ENTRIES.values())

    @extend_schema(operation_id="root", tags=["api"], responses={200: dict[str, str]})
    def get(self, request: Request) -> Response:
        return Response(
            {name: reverse(route, request=request) for name, (route, _) in ENTRIES.items()}
        )


class Schema(SpectacularAPIView):
    """The OpenAPI document of the API, as YAML, or as JSON on demand.

        curl "$DOCMILL/api/schema?format=json"

    OpenAPI 3.1; code generators and test tools read it.
    """

    name = "Schema"
    limiters = ()

    def handle_exception(self, exc: Exception) -> Response:
        # What this view writes is OpenAPI; an error is a problem here as everywhere.
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return super().handle_exception(exc)


@never_limited
@require_safe
# Swagger UI sets style attributes and draws its icons from data: addresses.
@csp_update({"style-src": [SELF, UNSAFE_INLINE], "img-src": [SELF, "data:"]})
def docs(request: HttpRequest) -> HttpResponse:
    """Every operation, to read about and to try: who is signed in does so as themselves."""
    return render(request, "web/swagger.html")
