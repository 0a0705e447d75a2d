"""Which representation a request gets."""

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from apps.core.errors import NotFound


class ProblemIsJson(DefaultContentNegotiation):
    """Who accepts problem+json alone accepts JSON: only an error can be a problem (RFC 9457). Who
    asks for a `format` by name gets it, whatever `Accept` says."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        wanted = request.query_params.get("format")
        known = list(renderers)
        try:
            found: tuple[BaseRenderer, str] = super().select_renderer(request, known, format_suffix)
        except NotAcceptable:
            if not wanted:
                raise
            first = self.filter_renderers(known, wanted)[0]
            return first, str(first.media_type)
        except Http404:
            names = ", ".join(dict.fromkeys(str(each.format) for each in known))
            detail = f"There is no such format here. There are: {names}."
            raise NotFound(detail) from None
        return found

    def get_accept_list(self, request: Request) -> list[str]:
        accepted = super().get_accept_list(request)
        return [each.replace("application/problem+json", "application/json") for each in accepted]


class OneMediaType(BaseContentNegotiation):
    """Whatever `Accept` says, the view sends what it has; its errors are problem+json."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)
