"""Answers that are written while they are sent."""

from collections.abc import Iterator
from typing import Any


def begun(stream: Iterator[bytes]) -> Iterator[Any]:
    """The stream, whose first piece is there: what can go wrong has done so."""
    first = next(stream, b"")

    def go_on() -> Iterator[bytes]:
        yield first
        yield from stream

    return go_on()
