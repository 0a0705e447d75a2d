"""Views that do nothing, and what tells how long the database took: for the benchmark alone."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.urls import path, resolve

from config.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

ALONE = "/bare"
"""Answered before any middleware: what Django and the server cost by themselves."""
BEHIND = "/bare-behind-middleware"

spent = threading.local()


def bare(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"ok", headers={"Content-Length": "2"})


urlpatterns = [path(ALONE[1:], bare), path(BEHIND[1:], bare), *urlpatterns]


class Clock:
    """Tells in `X-Database` how many statements a request sent, and the milliseconds that they
    took, until their answer was read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        connection_created.connect(_watch, dispatch_uid="benchmark")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == ALONE:
            return resolve(ALONE).func(request)
        spent.count, spent.seconds = 0, 0.0
        response = self.get_response(request)
        response["X-Database"] = f"{spent.count} {spent.seconds * 1000:.2f}"
        return response


def _watch(*, connection: Any, **_: Any) -> None:
    if _timed not in connection.execute_wrappers:
        connection.execute_wrappers.append(_timed)


def _timed(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    began = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        spent.count = getattr(spent, "count", 0) + 1
        spent.seconds = getattr(spent, "seconds", 0.0) + time.perf_counter() - began
