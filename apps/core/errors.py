"""The root of every error that Docmill tells a caller about.

A subclass lives in the app whose rule it states. `code` is stable (`area.reason`), `status` the
HTTP status, `title` the sentence that is the same each time; `detail` says what happened this time.
"""

from collections.abc import Mapping, Sequence
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

    `retry_after` in seconds becomes the Retry-After header; `headers` are those it has besides.
    """

    code = "server.error"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Something went wrong on our side"

    headers: Mapping[str, str] = {}

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


class Busy(Unavailable):
    """There is no room for one more for the moment: 503."""

    code = "server.busy"
    title = "The service is too busy for the moment"


class TooSlow(Unavailable):
    """The request was given up when its time was over: 503. What had been committed stays."""

    code = "server.timeout"
    title = "It took too long"


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


class Changed(DocmillError):
    """If-Match or If-Unmodified-Since asks for another state than there is: 412."""

    code = "request.changed"
    status = HTTPStatus.PRECONDITION_FAILED
    title = "It is not what you have"


class RangeNotSatisfiable(DocmillError):
    """The part that Range asks for lies behind the end: 416. `size` is in bytes."""

    code = "request.range"
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    title = "There is no such part"

    def __init__(self, size: int) -> None:
        super().__init__(f"There are {size} bytes.")
        self.headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}


class NotFound(DocmillError):
    """It is not there, or not for the caller: nobody can tell which."""

    code = "request.not_found"
    status = HTTPStatus.NOT_FOUND
    title = "There is no such thing here"
