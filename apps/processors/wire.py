"""Messages over the child's pipes: four bytes of length, big endian, then JSON in UTF-8."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

HEADER_BYTES = 4
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class TooLarge(Exception):
    """A message longer than MAX_MESSAGE_BYTES; nothing of it was kept."""


class Garbled(Exception):
    """Bytes that are no message of ours."""


_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""`json.dumps` with arguments would build an encoder for every page."""


def pack(message: Mapping[str, object]) -> bytes:
    """`message` ready to be sent. Raises TooLarge."""
    body = _encoded(message).encode(errors="replace")
    if len(body) > MAX_MESSAGE_BYTES:
        raise TooLarge
    return len(body).to_bytes(HEADER_BYTES) + body


class Inbox:
    """Puts messages together from pieces as they come off a pipe."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The messages that `piece` completes, oldest first. Raises TooLarge and Garbled."""
        self._bytes += piece
        while len(self._bytes) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(self._bytes[:HEADER_BYTES])
            if end > HEADER_BYTES + MAX_MESSAGE_BYTES:
                raise TooLarge
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[HEADER_BYTES:end])
            del self._bytes[:end]
            yield _decoded(body)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbled from error
    if not isinstance(message, dict):
        raise Garbled
    return message
