"""Around the API: what there is, the schema of it, and the page to try it."""

from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

ENTRIES = {
    "upload": ("batch-upload", "Submit files as one job."),
    "jobs": ("job-list", "Your organization's jobs; each leads to its files and results."),
    "docs": ("api-docs", "Every operation, to read about and to try."),
    "schema": ("schema", "The same as an OpenAPI document, for programs."),
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


@method_decorator(
    [
        never_cache,
        # Swagger UI sets style attributes and draws its icons from data: addresses.
        csp_update({"style-src": [SELF, UNSAFE_INLINE], "img-src": [SELF, "data:"]}),
    ],
    name="dispatch",
)
class Docs(SpectacularSwaggerSplitView):
    """Every operation, to read about and to try.

        curl $DOCMILL/api/docs

    Needs nothing from elsewhere. Who is signed in tries the operations as themselves.
    """

    name = "Documentation"
    template_name = "web/swagger.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # theirs
        # Its script carries the CSRF token of whoever is signed in.
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
