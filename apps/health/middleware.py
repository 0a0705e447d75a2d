"""Lets the health paths answer to whoever reaches the process, and metrics to who scrapes them."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.health import scraping, views


class HealthMiddleware:
    """Answers the health paths and Prometheus before host checks, redirects and sessions.

    An orchestrator asks by address and over plain HTTP: with the host check it would be told 400,
    with the redirect it would never see a 503. Goes before SecurityMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = views.ANSWERED_FIRST.get(request.path_info)
        if view is not None:
            return view(request)
        if scraping.is_scraper(request):
            return scraping.view(request)
        return self.get_response(request)
