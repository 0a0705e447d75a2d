"""The pages of a stored extraction, one after the other: a book's text need not fit into memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CHUNK = 64 * 1024
PAGES = '", "pages": ['
"""What stands between the text of all pages and the first of them, as `extractions` writes it. It
is inside of no string: there, a quotation mark has a backslash in front of it."""

_decoder = json.JSONDecoder()


def pages_at(path: Path) -> Iterator[dict[str, Any]]:
    """Each page as {number, text, ...}. Raises FileNotFoundError, and ValueError for what is no
    extraction."""
    with path.open(encoding="utf-8", newline="") as stored:
        yield from _pages(stored, _behind_the_text(stored))


def texts_at(path: Path) -> Iterator[str]:
    """The text of all pages, in pieces: put together they are the extraction's own `text`."""
    for number, page in enumerate(pages_at(path)):
        yield ("\n\n" if number else "") + str(page["text"])


def _behind_the_text(stored: TextIO) -> str:
    """Passes over the text of all pages; what was read beyond it."""
    tail = ""
    while chunk := stored.read(CHUNK):
        tail += chunk
        _, found, rest = tail.partition(PAGES)
        if found:
            return rest
        tail = tail[-len(PAGES) :]
    raise ValueError("This is no stored extraction.")


def _pages(stored: TextIO, buffer: str) -> Iterator[dict[str, Any]]:
    start = 0
    while True:
        start = _next(buffer, start)
        if buffer[start : start + 1] == "]":
            return
        try:
            page, end = _decoder.raw_decode(buffer, start)
        except ValueError:
            # Twice as much each time, so that a page of many megabytes is not looked at for ever.
            more = stored.read(max(CHUNK, len(buffer) - start))
            if not more:
                raise
            buffer, start = buffer[start:] + more, 0
        else:
            yield page
            start = end


def _next(buffer: str, start: int) -> int:
    """Where the next page begins, or the end of them."""
    while buffer[start : start + 1] in (",", " "):
        start += 1
    return start
