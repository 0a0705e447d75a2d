"""A request id for every request, in its answer, its log lines and its errors."""

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from apps.core import deadline, tracing
from apps.core.context import bind, forget
from apps.core.exchange import is_event_stream, route_of, shown_path, tell_at_end

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

access = structlog.stdlib.get_logger("docmill.access")


@receiver(request_finished)
def _forget(**_: Any) -> None:
    """Only now, for a streamed answer is made after the middleware, and Django logs after it."""
    forget()


class RequestIdMiddleware:
    """Takes a well-formed `X-Request-ID` or makes one; tells it and `X-Process-Time` in seconds.

    Whoever is in REQUEST_LISTENERS is told of the request when its answer has ended.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex
        forget()
        bind(request_id=request_id)
        traceparent = request.headers.get("traceparent", "")
        with tracing.Request(str(request.method), traceparent) as traced:
            response = self.get_response(request)
            traced.answered(
                route=route_of(request), status=response.status_code, request_id=request_id
            )
        response["X-Request-ID"] = request_id
        response["X-Process-Time"] = f"{time.perf_counter() - began:.4f}"
        if is_event_stream(response):
            access.info("stream started", method=request.method, path=shown_path(request))
        tell_at_end(request, response, request_id=request_id, began=began)
        return response


class TimeLimits:
    """Has whatever a request waits for look at the time; see `deadline`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Who waited for a thread until nobody waits for the answer makes nobody else wait.
        began = request.META.get("asgi.scope", {}).get(deadline.BEGAN) or time.monotonic()
        with deadline.until(began + settings.REQUEST_TIMEOUT_SECONDS):
            return self.get_response(request)

    def process_view(self, _request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> None:
        if seconds := deadline.extra_seconds(view):
            deadline.move(seconds)


class DefaultHeaders:
    """Gives every answer the headers of DEFAULT_HEADERS that its view has not set otherwise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in settings.DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        return response
