"""Lets the health paths answer to whoever reaches the process."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.health import views


class HealthMiddleware:
    """Answers the health paths before host checks, redirects to HTTPS and sessions.

    An orchestrator asks by address and over plain HTTP: with the host check it would be told 400,
    with the redirect it would never see a 503. Goes before SecurityMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in views.PATHS:
            return views.health(request)
        return self.get_response(request)
