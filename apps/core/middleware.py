"""A request id for every request, in its answer, its log lines and its errors."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

NO_REQUEST = "-"

_request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)


def current_request_id() -> str:
    """The id of the request that is being answered; `-` outside one."""
    return _request_id.get()


@receiver(request_finished)
def _forget(**_: Any) -> None:
    """Only now, for a streamed answer is made after the middleware, and Django logs after it."""
    _request_id.set(NO_REQUEST)


class RequestIdMiddleware:
    """Takes a well-formed `X-Request-ID` or makes one; tells it and `X-Process-Time` in seconds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex
        _request_id.set(request_id)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        response["X-Process-Time"] = f"{time.perf_counter() - started:.4f}"
        return response


class DefaultHeaders:
    """Gives every answer the headers of DEFAULT_HEADERS that its view has not set otherwise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in settings.DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class RequestIdFilter(logging.Filter):
    """Gives every log record the attribute `request_id`."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True


class WithoutTraceback(logging.Filter):
    """Leaves the message of a log record and takes its traceback away."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True
