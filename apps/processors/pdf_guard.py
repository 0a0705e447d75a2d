"""The guard before PDFium sees a PDF: streams that inflate to far more than any page needs.

A stream of 2 KB may inflate to 1 GB, twice packed one; PDFium would hold all of it in memory, and
only the cap on the child's memory would end that. Pure, and cheap: text inflates at some 300 MB a
second. Streams packed in other ways than Flate are left to the cap.
"""

import itertools
import re
import zlib
from collections.abc import Iterable, Iterator

from apps.processors.errors import BadDocument

MAX_STREAM_BYTES = 400 * 1024 * 1024
"""More than the largest picture that is read takes, at three bytes a pixel."""
LAYERS = 3
PIECE_BYTES = 64 * 1024
STREAM = re.compile(rb"stream(?:\r\n|\n|\r)(?=[\x08-\x78])")  # ISO 32000-1, 7.3.8.1


def check(content: bytes) -> None:
    """Raises BadDocument "document.bomb" when a stream of the PDF inflates to too much.

    By what the bytes are, not by what their dictionary says of them: names can be written in
    many ways, and lengths can lie.
    """
    view = memoryview(content)
    for found in STREAM.finditer(content):
        start = found.end()
        if _is_zlib(content[start : start + 2]):
            _drain(_pieces(view, start), LAYERS)


def _is_zlib(head: bytes) -> bool:
    """RFC 1950, 2.2: the method is 8, and the first two bytes are a multiple of 31."""
    return len(head) >= 2 and head[0] & 0x0F == 8 and int.from_bytes(head[:2]) % 31 == 0


def _pieces(view: memoryview, start: int) -> Iterator[memoryview]:
    for at in range(start, len(view), PIECE_BYTES):
        yield view[at : at + PIECE_BYTES]


def _drain(packed: Iterable[bytes | memoryview], layers: int) -> None:
    """Unpack to nowhere, and what comes out again where that is packed too."""
    unpacked = _counted(_inflated(packed))
    first = next(unpacked, b"")
    rest = itertools.chain((first,), unpacked)
    if layers > 1 and _is_zlib(first[:2]):
        _drain(rest, layers - 1)
    else:
        for _ in rest:
            pass


def _inflated(packed: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """As far as it can be unpacked: damage is for the reader of the PDF to judge."""
    inflater = zlib.decompressobj()
    for piece in packed:
        left: bytes | memoryview = piece
        while left and not inflater.eof:
            try:
                yield inflater.decompress(left, PIECE_BYTES)
            except zlib.error:
                return
            left = inflater.unconsumed_tail
        if inflater.eof:
            return


def _counted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_STREAM_BYTES:
            raise BadDocument("document.bomb", "The PDF would unpack to far more than it should.")
        yield piece
