"""The parts of a multipart/form-data body as they come in, none passed over (RFC 7578).

Django's own parser drops a part whose header it cannot read: a file with a name in another
encoding would be gone, and its sender told that all is well. Here a part is handed on or the
request refused. What cuts the stream at its delimiters is Django's.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from django.core.exceptions import SuspiciousOperation
from django.http.multipartparser import InterBoundaryIter, LazyStream
from django.utils.http import parse_header_parameters

from apps.jobs.errors import IncompleteUpload, MalformedUpload

CHUNK_BYTES = 64 * 1024
MAX_HEADER_BYTES = 8 * 1024
BOUNDARY = re.compile(r"[ -~]{0,200}[!-~]")
PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Part:
    """One part: `file_name` is None for a plain field. `content` ends where the next one starts."""

    name: str
    file_name: str | None
    content: Iterator[bytes]

    def text(self, max_bytes: int) -> str | None:
        """The content of a plain field; None when it is longer. Raises UnicodeDecodeError."""
        data = b""
        for chunk in self.content:
            data += chunk
            if len(data) > max_bytes:
                return None
        return data.decode()


def parts(body: Readable, boundary: str) -> Iterator[Part]:
    """The parts of `body`, to be read in order; what is left unread of one is passed over.

    Reads `body` to its end. Raises MalformedUpload, and IncompleteUpload when the body ends before
    its last delimiter.
    """
    if not BOUNDARY.fullmatch(boundary):
        raise MalformedUpload("The Content-Type names no usable boundary.")
    chunks: Any = iter(lambda: body.read(CHUNK_BYTES), b"")
    stream: Any = LazyStream(chunks)
    sections = InterBoundaryIter(stream, b"--" + boundary.encode("ascii"))
    try:
        _pass_over(next(sections, ()))  # what stands before the first delimiter
        for section in sections:
            start = section.read(2)
            if start == b"--":
                _pass_over(stream)
                return
            yield _part(section, start)
            _pass_over(section)
    except SuspiciousOperation as error:
        raise MalformedUpload("The body cannot be read.") from error
    raise IncompleteUpload("The last part has no end. Nothing was stored.")


def _pass_over(content: Iterable[bytes]) -> None:
    deque(content, maxlen=0)


def _part(section: Any, start: bytes) -> Part:
    """The part in `section`, whose first bytes `start` were read already."""
    head = start + section.read(MAX_HEADER_BYTES)
    header, end, content = head.partition(b"\r\n\r\n")
    if not end:
        raise MalformedUpload("The header of a part has no end, or is far too long.")
    section.unget(content)
    fields = _header_fields(header)
    if fields.get("content-transfer-encoding", "").strip().lower() not in PLAIN_ENCODINGS:
        raise MalformedUpload("Files are sent as they are, without a Content-Transfer-Encoding.")
    try:
        _, parameters = parse_header_parameters(fields.get("content-disposition", ""))
    except ValueError as error:
        raise MalformedUpload("A file name is in an unknown encoding.") from error
    if "name" not in parameters:
        raise MalformedUpload("A part does not say which field it is.")
    file_name = parameters.get("filename")
    if file_name is not None:
        # Browsers escape a quote so (HTML, 4.10.21.8), and nothing else that a name may have.
        file_name = file_name.replace("%22", '"')
    return Part(parameters["name"], file_name, section)


def _header_fields(header: bytes) -> dict[str, str]:
    """Lower-case names and values. A name that is not UTF-8 keeps what can be read of it."""
    lines = header.decode(errors="replace").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value for name, _, value in pairs}
