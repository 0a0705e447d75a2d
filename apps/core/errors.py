"""The root of every error that Docmill tells a caller about.

A subclass lives in the app whose rule it states. `code` is stable (`area.reason`), `status` the
HTTP status, `title` the sentence that is the same each time; `detail` says what happened this time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field, file or parameter of a request."""

    field: str
    code: str
    detail: str


class DocmillError(Exception):
    """An error with one HTTP mapping, told as problem+json (RFC 9457).

    `retry_after` in seconds becomes the Retry-After header.
    """

    code = "server.error"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Something went wrong on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def members(self) -> dict[str, Any]:
        """What its problem document has besides what all have."""
        return {}


class Unavailable(DocmillError):
    """Something we rest on is away, and comes back by itself: 503."""

    code = "server.unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "The service cannot answer for the moment"


class InvalidInput(DocmillError):
    """Malformed or out-of-bounds input: 400."""

    code = "request.invalid"
    status = HTTPStatus.BAD_REQUEST
    title = "The request is not valid"


class TooLarge(DocmillError):
    """More than is read of one request: 413."""

    code = "request.too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The request is too large"


class NotFound(DocmillError):
    """It is not there, or not for the caller: nobody can tell which."""

    code = "request.not_found"
    status = HTTPStatus.NOT_FOUND
    title = "There is no such thing here"
