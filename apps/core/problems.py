"""Every error with a stable code: as problem+json (RFC 9457) under `/api/`, elsewhere on a page."""

import logging
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import (
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
)
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    UnreadablePostError,
)
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from rest_framework import exceptions
from rest_framework.response import Response

from apps.core import deadline
from apps.core.context import current_request_id
from apps.core.errors import (
    Busy,
    DocmillError,
    FieldError,
    InvalidInput,
    NotFound,
    TooLarge,
    TooSlow,
    Unavailable,
)
from apps.core.metrics import TOO_SLOW
from apps.core.pool import AllInUse

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""When to come back while the database is away or too busy."""

# Codes for what Django REST framework raises by itself; a subclass comes before its base.
FRAMEWORK_CODES: list[tuple[type[exceptions.APIException], str, str]] = [
    (exceptions.ParseError, "request.malformed", "The request cannot be read"),
    (exceptions.AuthenticationFailed, "auth.failed", "The credentials are not valid"),
    (exceptions.NotAuthenticated, "auth.required", "Credentials are needed"),
    (exceptions.PermissionDenied, "auth.forbidden", "You may not do this"),
    (exceptions.NotFound, NotFound.code, NotFound.title),
    (exceptions.MethodNotAllowed, "request.method_not_allowed", "The method does not fit"),
    (exceptions.NotAcceptable, "request.not_acceptable", "No such representation"),
    (exceptions.UnsupportedMediaType, "request.unsupported_media_type", "Unsupported media type"),
    (exceptions.Throttled, "request.throttled", "Too many requests"),
]


def body(error: DocmillError) -> dict[str, Any]:
    """The members of the problem document that tells `error`."""
    return {
        **error.members(),
        "type": address_of(error.code),
        "title": error.title,
        "status": int(error.status),
        "code": error.code,
        "detail": _encodable(error.detail or error.title),
        "errors": [
            {name: _encodable(text) for name, text in vars(each).items()} for each in error.errors
        ],
        "request_id": current_request_id(),
    }


def address_of(code: str) -> str:
    """Where `code` is explained: see apps.web.explanations."""
    return f"{settings.PUBLIC_URL}/errors/{code}"


def _encodable(text: str) -> str:
    """`text` without lone surrogates: JSON that was sent may hold them, and is quoted in errors."""
    return text.encode(errors="replace").decode()


def _flatten(detail: Any, field: str = "") -> Iterator[FieldError]:
    """The leaves of a serializer's nested error detail, fields joined by dots."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            plain = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(filter(None, (field, plain))))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flatten(inner, field)
    else:
        yield FieldError(field, getattr(detail, "code", "invalid"), str(detail))


def _as_docmill_error(exc: Exception) -> DocmillError | None:
    """`exc` in Docmill's terms; None when nobody foresaw it."""
    if isinstance(exc, DocmillError):
        return exc
    if isinstance(exc, Http404):
        return NotFound()
    if isinstance(exc, SuspiciousOperation | UnreadablePostError):
        return _of_bad_request(exc)
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.ValidationError):
        errors = tuple(_flatten(exc.detail))
        return InvalidInput(" ".join(each.detail for each in errors), errors=errors)
    if isinstance(exc, exceptions.APIException):
        return _of_framework(exc)
    return None


def _of_bad_request(exc: Exception) -> DocmillError:
    """What Django says of a request that was cut off, or that nobody sends who means well."""
    if isinstance(exc, UnreadablePostError):
        return InvalidInput("The body of the request did not come to its end.")
    if isinstance(exc, DisallowedHost):
        return InvalidInput("This host name is not served here; see ALLOWED_HOSTS.")
    if isinstance(exc, RequestDataTooBig):
        return TooLarge("The body is longer than is read of one that is no upload.")
    if isinstance(exc, TooManyFieldsSent):
        told = "The form has more fields than are read of one. Change fewer things at a time."
        return TooLarge(told)
    return InvalidInput()


def _of_framework(exc: exceptions.APIException) -> DocmillError:
    error = DocmillError(str(exc.detail))
    error.status = HTTPStatus(exc.status_code)
    given = exc.get_codes()
    for kind, code, title in FRAMEWORK_CODES:
        if isinstance(exc, kind):
            error.code, error.title = code, title
            break
    if isinstance(given, str) and "." in given:  # raised with one of our own codes
        error.code = given
    if authenticate := getattr(exc, "auth_header", None):
        error.headers = {"WWW-Authenticate": authenticate}
    return error


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's EXCEPTION_HANDLER: answers every error, foreseen or not.

    An error nobody foresaw is logged with its traceback, sent to whoever listens for request
    exceptions, and told without internals.
    """
    # That module reads the setting that names the throttles, which import this one.
    from rest_framework.views import set_rollback

    error = _as_docmill_error(exc)
    if error is None:
        error = _unforeseen(exc)
        logger.error(_headline(error, "unhandled error"), exc_info=exc)
        got_request_exception.send(sender=exception_handler, request=context.get("request"))
    set_rollback()
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    response = Response(body(error), status=int(error.status), headers=headers)
    # The browsable page stays a page; everyone else gets the problem's own media type.
    renderer = getattr(context.get("request"), "accepted_renderer", None)
    if renderer is None or renderer.format == "json":
        response.content_type = CONTENT_TYPE
    return response


def _unforeseen(exc: Exception) -> DocmillError:
    """What is told of an error without saying anything of it."""
    if isinstance(exc, AllInUse):
        return Busy("All database connections are in use.", retry_after=RETRY_SECONDS)
    if isinstance(exc, OperationalError | InterfaceError):
        if deadline.is_over():  # whatever ended it
            TOO_SLOW.inc()
            told = "It was given up. See what is there before you send it again."
            return TooSlow(told, retry_after=RETRY_SECONDS)
        return Unavailable("Try again in a moment.", retry_after=RETRY_SECONDS)
    return DocmillError()


def _headline(error: DocmillError, otherwise: str) -> str:
    """The line of the log above the traceback, which says where."""
    return "the time of the request was over" if isinstance(error, TooSlow) else otherwise


def _is_for_programs(request: HttpRequest) -> bool:
    """Under `/api`, and not from a browser that was led there by its address bar or a link."""
    is_api = request.path.startswith(("/api/", "/health", "/metrics")) or request.path == "/api"
    return is_api and request.get_preferred_type(["application/json", "text/html"]) != "text/html"


def _answer(error: DocmillError) -> HttpResponse:
    response = JsonResponse(body(error), status=int(error.status), content_type=CONTENT_TYPE)
    return _with_headers(response, error)


def _with_headers(response: HttpResponse, error: DocmillError) -> HttpResponse:
    """`response` with those of the error, and when to come back, where that is known."""
    for name, value in error.headers.items():
        response[name] = value
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def problem(error: DocmillError) -> HttpResponse:
    """The problem document that tells `error`, whoever asks."""
    return _answer(error)


def method_not_allowed(method: str, *allowed: str) -> HttpResponse:
    """The 405 of a view outside REST framework, which takes the methods `allowed`."""
    response = _answer(_of_framework(exceptions.MethodNotAllowed(method)))
    response["Allow"] = ", ".join(allowed)
    return response


def page(error: DocmillError, request: HttpRequest | None = None) -> HttpResponse:
    """The page that tells `error` to a person, in the colours they chose for `request`.

    Needs neither a query nor somebody signed in. Without `request` nothing of it is looked at:
    for when that may be what is broken.
    """
    known = {"error": body(error), "retry_after": error.retry_after}
    text = render_to_string("error.html", known, request)
    return _with_headers(HttpResponse(text, status=int(error.status)), error)


def _told(request: HttpRequest, error: DocmillError) -> HttpResponse:
    return _answer(error) if _is_for_programs(request) else page(error, request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    return _told(request, _of_bad_request(exception))


def page_not_found(
    request: HttpRequest,
    exception: Exception,  # noqa: ARG001  # Django gives it by this name
) -> HttpResponse:
    """Django's handler404."""
    return _told(request, NotFound("There is nothing at this address."))


def permission_denied(
    request: HttpRequest,
    exception: Exception,  # noqa: ARG001  # Django gives it by this name
) -> HttpResponse:
    """Django's handler403."""
    return _told(request, _of_framework(exceptions.PermissionDenied()))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW. The log says the `reason`.

    A sign-in page with an old token, as in a second tab after one signed in in the first, is
    opened anew: it leads on who is in. Nothing that was sent with it counts.
    """
    if reason.startswith("CSRF token") and request.path == resolve_url(settings.LOGIN_URL):
        fresh = redirect_to_login(request.POST.get("next", ""))
        fresh.status_code = HTTPStatus.SEE_OTHER
        return fresh
    error = _of_framework(exceptions.PermissionDenied())
    error.title = "The form was not accepted"
    error.detail = (
        "It was not sent from a page of this site, or that page was open for too long. "
        "Go back, reload it and send it again; cookies must be allowed."
    )
    return _told(request, error)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, called while what was raised is being handled."""
    raised = sys.exc_info()[1]
    error = _unforeseen(raised) if isinstance(raised, Exception) else DocmillError()
    return _answer(error) if _is_for_programs(request) else page(error)


class ProblemPages:
    """Tells a person on a page what a view outside the API answered or raised without words."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or response.content:
            return response
        told = _told(request, _of_framework(exceptions.MethodNotAllowed(str(request.method))))
        told["Allow"] = response["Allow"]
        return told

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if isinstance(exc, OperationalError | InterfaceError):
            error = _unforeseen(exc)
            logger.error(_headline(error, "the database does not answer"), exc_info=exc)
            return _told(request, error)
        if isinstance(exc, DocmillError | UnreadablePostError | exceptions.APIException):
            return _told(request, _as_docmill_error(exc) or DocmillError())
        return None
