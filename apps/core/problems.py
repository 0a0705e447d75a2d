"""Every error under `/api/` as problem+json (RFC 9457) with a stable code."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.errors import DocmillError, FieldError, InvalidInput, NotFound, Unavailable
from apps.core.middleware import current_request_id

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
        "type": f"urn:docmill:problem:{error.code}",
        "title": error.title,
        "status": int(error.status),
        "code": error.code,
        "detail": _encodable(error.detail or error.title),
        "errors": [
            {name: _encodable(text) for name, text in vars(each).items()} for each in error.errors
        ],
        "request_id": current_request_id(),
    }


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
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.ValidationError):
        errors = tuple(_flatten(exc.detail))
        return InvalidInput(" ".join(each.detail for each in errors), errors=errors)
    if isinstance(exc, exceptions.APIException):
        return _of_framework(exc)
    return None


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
    return error


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's EXCEPTION_HANDLER: answers every error, foreseen or not.

    An error nobody foresaw is logged with its traceback, sent to whoever listens for request
    exceptions, and told without internals.
    """
    error = _as_docmill_error(exc)
    if error is None:
        logger.error("unhandled error", exc_info=exc)
        got_request_exception.send(sender=exception_handler, request=context.get("request"))
        error = _unforeseen(exc)
    set_rollback()
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if authenticate := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = authenticate
    response = Response(body(error), status=int(error.status), headers=headers)
    # The browsable page stays a page; everyone else gets the problem's own media type.
    renderer = getattr(context.get("request"), "accepted_renderer", None)
    if renderer is None or renderer.format == "json":
        response.content_type = CONTENT_TYPE
    return response


def _unforeseen(exc: Exception) -> DocmillError:
    """What is told of an error without saying anything of it."""
    if isinstance(exc, OperationalError | InterfaceError):
        return Unavailable("Try again in a moment.", retry_after=RETRY_SECONDS)
    return DocmillError()


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/health")) or request.path == "/api"


def _answer(error: DocmillError) -> HttpResponse:
    return JsonResponse(body(error), status=int(error.status), content_type=CONTENT_TYPE)


def method_not_allowed(method: str, *allowed: str) -> HttpResponse:
    """The 405 of a view outside REST framework, which takes the methods `allowed`."""
    response = _answer(_of_framework(exceptions.MethodNotAllowed(method)))
    response["Allow"] = ", ".join(allowed)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if _is_for_programs(request):
        if isinstance(exception, DisallowedHost):
            return _answer(InvalidInput("This host name is not served here; see ALLOWED_HOSTS."))
        return _answer(InvalidInput())
    return defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if _is_for_programs(request):
        return _answer(NotFound("No such path."))
    return defaults.page_not_found(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if _is_for_programs(request):
        error = _of_framework(exceptions.PermissionDenied())
        return _answer(error)
    return defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    if _is_for_programs(request):
        return _answer(DocmillError())
    return defaults.server_error(request)
