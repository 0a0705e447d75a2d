"""Around the API: what there is, the schema of it, and the page to try it."""

from functools import cache
from pathlib import Path
from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.caching.decorators import cached
from apps.caching.http import respond
from apps.core.filters import refuse_unknown_parameters
from apps.ratelimits.decorators import never_limited

SOURCES = Path(__file__).resolve().parents[1]
ENTRIES = {
    "upload": ("batch-upload", "Submit files as one job."),
    "jobs": ("job-list", "Your organization's jobs; each leads to its files and results."),
    "uploads": ("upload-list", "Large files in parts, over lines that break: tus 1.0."),
    "pause": ("batch-pause", "What is paused, why and by whom; owners and admins pause here."),
    "webhooks": ("webhooks", "Where your organization is told of what happens."),
    "organization": ("organization", "Your organization, its members, invitations and API keys."),
    "audit": ("audit", "Who did what in your organization, as far as you may see it."),
    "notifications": ("notifications", "What you were told of: jobs that ended, pauses, members."),
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


@cached("metadata", tenant=None)
def document(media_type: str, build: str) -> bytes:  # noqa: ARG001  (its key has it)
    """The OpenAPI document of the program `build`, written as `media_type`: the same for all."""
    generator: Any = SchemaGenerator
    schema = generator().get_schema(request=None, public=True)
    [renderer] = [each for each in Schema.renderer_classes if each.media_type == media_type]
    drawn: bytes | str = renderer().render(schema, renderer_context={})
    return drawn if isinstance(drawn, bytes) else drawn.encode()


@cache
def build() -> str:
    """Tells one state of the program from another, in development too."""
    newest = max(path.stat().st_mtime_ns for path in SOURCES.rglob("*.py"))
    return f"{settings.VERSION} {newest}"


class Schema(SpectacularAPIView):
    """The OpenAPI document of the API, as YAML, or as JSON on demand.

        curl "$DOCMILL/api/schema?format=json"

    OpenAPI 3.1; code generators and test tools read it.
    """

    name = "Schema"
    limiters = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        # Spectacular's own would draw it anew for any `lang` and `version`, for whoever asks.
        refuse_unknown_parameters(request)
        renderer = request.accepted_renderer
        outcome = document.outcome(renderer.media_type, build())
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        name = f'inline; filename="{settings.SPECTACULAR_SETTINGS["TITLE"]}.{renderer.format}"'
        return respond(
            request,
            outcome,
            content_type=f"{renderer.media_type}{charset}",
            headers={"Content-Disposition": name},
        )

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
