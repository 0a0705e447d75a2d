"""A value as it is stored: until when it is good, the stamps of its tags, and itself.

Pure. Values are text, bytes, or what JSON can say: nothing that runs when it is loaded. What cannot
be read, because it was damaged or written by another version, is no value.
"""

import json
import secrets
import struct
import zlib
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

STAMP_BYTES = 16
"""The first half changes with a hard invalidation, both with each other: a value whose first halves
fit and whose others do not is stale, not wrong."""
HALF = STAMP_BYTES // 2
COMPRESSED_FROM = 4096
MAX_STORED_BYTES = 1024 * 1024
"""Compressed. What is larger is computed each time: sending it takes longer than Redis is waited
for, and one such value has the place of a thousand others."""
MAX_VALUE_BYTES = 32 * 1024 * 1024
"""Of what is unpacked, whatever it says of itself."""
LONGEST_SECONDS = 86_400
"""No computation takes that long."""
TEXT, BYTES, JSON = b"t", b"b", b"j"

_HEADER = struct.Struct(">2sc?dddfB16s")
_MARK = b"D2"
_dumped = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class Age(Enum):
    """What a stored value is good for."""

    FRESH = "fresh"
    STALE = "stale"  # to be served at once, and computed anew meanwhile
    LATE = "late"  # to be served only where computing it anew fails
    GONE = "gone"


class Times(NamedTuple):
    """Unix seconds: until when a value is fresh, served while it is stale, and kept at all."""

    fresh: float
    stale: float
    kept: float


class Entry(NamedTuple):
    """`took` are the seconds that computing it cost; `digest` says whether two are the same, and
    whether one is whole."""

    form: bytes
    is_packed: bool
    times: Times
    took: float
    digest: bytes
    stamps: bytes
    body: bytes

    @property
    def value(self) -> Any:
        """A new copy. Raises ValueError or zlib.error for one that was damaged."""
        body = _unpacked(self.body) if self.is_packed else self.body
        if self.form == BYTES:
            return body
        if self.form not in (TEXT, JSON):
            raise ValueError("another version wrote it")
        text = body.decode(errors="surrogatepass")
        return text if self.form == TEXT else json.loads(text)

    def age(self, stamps: bytes | None, now: float) -> Age:
        """What it is good for at `now` (Unix seconds), when the stamps of its tags are `stamps`,
        None where one of them is missing."""
        if stamps is None or now >= self.times.kept:
            return Age.GONE
        is_soft = stamps != self.stamps
        if is_soft and _hard(stamps) != _hard(self.stamps):
            return Age.GONE
        if now < self.times.fresh and not is_soft:
            return Age.FRESH
        return Age.STALE if now < self.times.stale else Age.LATE


def wrap(
    value: Any,
    *,
    key: str,
    stamps: bytes,
    times: Times,
    took: float,
    digest: Callable[[bytes], bytes],
) -> Entry:
    """`value` to be stored under `key`. Raises TypeError or ValueError for what JSON cannot say."""
    if isinstance(value, bytes):
        form, body = BYTES, bytes(value)
    elif type(value) is str:
        form, body = TEXT, value.encode(errors="surrogatepass")
    else:
        form, body = JSON, _dumped(value).encode(errors="surrogatepass")
    is_packed = False
    if COMPRESSED_FROM <= len(body) <= MAX_VALUE_BYTES:
        packed = zlib.compress(body, 1)
        is_packed = len(packed) < len(body)
        body = packed if is_packed else body
    mark = digest(_told(key, form, is_packed, body))
    return Entry(form, is_packed, times, took, mark, stamps, body)


def pack(entry: Entry) -> bytes:
    count = len(entry.stamps) // STAMP_BYTES
    head = _HEADER.pack(
        _MARK, entry.form, entry.is_packed, *entry.times, entry.took, count, entry.digest
    )
    return b"".join((head, entry.stamps, entry.body))


def unpack(stored: bytes | None, key: str, digest: Callable[[bytes], bytes]) -> Entry | None:
    """The inverse of `pack`; None for nothing, and for what `wrap` did not make with `digest` for
    `key`: what comes in answer to another question is nobody else's."""
    if stored is None or len(stored) < _HEADER.size or not stored.startswith(_MARK):
        return None
    _, form, is_packed, fresh, stale, kept, took, count, mark = _HEADER.unpack_from(stored)
    end = _HEADER.size + count * STAMP_BYTES
    body = stored[end:]
    # Not so for what is no number, either.
    is_sound = fresh <= stale <= kept and 0 <= took < LONGEST_SECONDS
    if not is_sound or digest(_told(key, form, is_packed, body)) != mark:
        return None
    times, stamps = Times(fresh, stale, kept), stored[_HEADER.size : end]
    return Entry(form, is_packed, times, took, mark, stamps, body)


def joined(stamps: Sequence[bytes | None]) -> bytes | None:
    """The stamps of a value's tags, in their order; None where one is missing."""
    if None in stamps:
        return None
    together = b"".join(stamps)  # type: ignore[arg-type]  # none is None
    return together if len(together) == STAMP_BYTES * len(stamps) else None


def new_stamp() -> bytes:
    """Unlike any there was: a number that begins anew after it was lost could match an old one."""
    return secrets.token_bytes(STAMP_BYTES)


def softened(stamp: bytes) -> bytes:
    """`stamp`, and what it was put on is stale."""
    return stamp[:HALF] + secrets.token_bytes(HALF)


def _hard(stamps: bytes) -> list[bytes]:
    return [stamps[at : at + HALF] for at in range(0, len(stamps), STAMP_BYTES)]


def _told(key: str, form: bytes, is_packed: bool, body: bytes) -> bytes:
    return b"%b %b%d%b" % (key.encode(), form, is_packed, body)


def _unpacked(body: bytes) -> bytes:
    stream = zlib.decompressobj()
    data = stream.decompress(body, MAX_VALUE_BYTES)
    if not stream.eof:
        raise ValueError("it is cut off, or larger than any that is stored")
    return data
