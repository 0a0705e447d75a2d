"""Which representation a request gets."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class ProblemIsJson(DefaultContentNegotiation):
    """Who accepts problem+json alone accepts JSON: only an error can be a problem (RFC 9457)."""

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
