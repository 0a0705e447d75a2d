"""A part of a file for who asks for it: one byte range (RFC 9110, section 14)."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import BinaryIO, NamedTuple

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

from apps.core.errors import Changed, RangeNotSatisfiable

ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.ASCII)
CHUNK = 64 * 1024


class Part(NamedTuple):
    """Bytes from `start` on."""

    start: int
    length: int


NOTHING = Part(0, 0)
"""What was asked for lies behind the end."""


def part_of(header: str, size: int) -> Part | None:
    """The part that a Range header asks for; None for all of it: also where it asks for several, or
    for what is no range."""
    found = ONE_RANGE.fullmatch(header.strip())
    if found is None:
        return None
    first, last, suffix = (int(each) if each else None for each in found.groups())
    if first is None:
        length = min(suffix or 0, size)
        return Part(size - length, length) if length else NOTHING
    if last is not None and last < first:
        return None
    if first >= size:
        return NOTHING
    end = size if last is None else min(last + 1, size)
    return Part(first, end - first)


def serve(
    request: HttpRequest,
    content: BinaryIO,
    *,
    size: int,
    etag: str,
    content_type: str,
    headers: Mapping[str, str],
) -> HttpResponseBase:
    """The file of `size` bytes, or the part of it that is asked for; 304 by its `etag`. Raises
    Changed, or RangeNotSatisfiable for a part behind its end. Closes `content` with the answer."""
    headers = {**headers, "ETag": etag, "Accept-Ranges": "bytes"}
    known = get_conditional_response(request, etag=etag, response=HttpResponse(headers=headers))
    if known is not None and known.status_code != HTTPStatus.OK:
        content.close()
        if known.status_code == HTTPStatus.PRECONDITION_FAILED:
            raise Changed
        for name, value in headers.items():  # a browser takes those in place of what it has
            known.headers.setdefault(name, value)
        return known
    asked = request.headers.get("Range", "") if _wants_part(request, etag) else ""
    part = part_of(asked, size)
    if part is NOTHING:
        content.close()
        raise RangeNotSatisfiable(size)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    sent = part or Part(0, size)
    headers["Content-Length"] = str(sent.length)
    return StreamingHttpResponse(
        _Slice(content, sent),
        status=HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT,
        content_type=content_type,
        headers=headers,
    )


def _wants_part(request: HttpRequest, etag: str) -> bool:
    """Whether a part fits what the asker has already. A date is taken for another version."""
    condition = request.headers.get("If-Range", "").strip()
    return request.method == "GET" and condition in ("", etag)


class _Slice:
    """A part of a file in chunks. Closed by the answer, also where nobody reads it."""

    def __init__(self, content: BinaryIO, part: Part) -> None:
        self.close = content.close
        self._content = content
        self._left = part.length
        content.seek(part.start)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._content.read(min(CHUNK, self._left)):
            self._left -= len(chunk)
            yield chunk
