"""Every answer to a request that was counted tells of its limits."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.ratelimits.errors import TooManyRequests
from apps.ratelimits.requests import count, decisions_of, give_back, headers_of

LIVE = "live"


class LimitHeaders:
    """Sets the headers of `decision.headers`, on refusals too.

    What a page or a program asks for again and gets 304 is `live`, as is all that pages ask for by
    themselves: it is known only now, so it was counted for the API first.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            _count_as_live(request)
        return _telling(request, response)

    def process_template_response(self, request: HttpRequest, response: Any) -> Any:
        # A page of the browsable API shows the headers, so it is drawn with them.
        return _telling(request, response)


def _telling(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    for name, value in headers_of(request).items():
        response[name] = value
    return response


def _count_as_live(request: HttpRequest) -> None:
    """Where there is room for it; otherwise it stays what it was."""
    if not any(part.limiter == "api" for made in decisions_of(request) for part in made.parts):
        return
    try:
        count(request, LIVE)
    except TooManyRequests:
        decisions_of(request).pop()
    else:
        give_back(request, "api")
