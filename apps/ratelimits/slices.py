"""A window too large for an exact log: counts of 64 slices, the same size however many hits.

Never admits more than the limit. A hit counts until its whole slice has left the window, which is
at most a 63rd of the window (and 64 ms) too long. `scripts/decide.lua` does the same in Redis.
"""

import struct
from collections.abc import Sequence

from apps.ratelimits.log import HEADER_BYTES, Look
from apps.ratelimits.windows import Window

SLICES = 64
ABOVE = 2000
"""Windows with larger limits are counted in slices: an exact log would take four bytes a hit."""


def width_ms(window: Window) -> int:
    """Milliseconds of a slice: the current one and 63 whole ones before it cover the window."""
    return -(-window.milliseconds // (SLICES - 1))


class Slices:
    """Counts, the oldest slice first; the last one began at `start` (milliseconds)."""

    __slots__ = ("counts", "start", "width")

    def __init__(self, width: int, start: int = 0, counts: Sequence[int] = ()) -> None:
        self.width = width
        self.start = start
        self.counts = list(counts) or [0] * SLICES

    def is_ahead(self, now: int) -> bool:
        """Whether the clock went back behind the start of the last slice."""
        return self.start > now

    def settled(self, now: int) -> "Slices":
        """As it is at `now`. Of one that is ahead the last slice begins now: nobody gets more than
        the limit, nobody waits longer than for a window."""
        steps = (now - self.start) // self.width
        if steps >= SLICES:
            return Slices(self.width, now)
        if steps > 0:
            start, counts = self.start + steps * self.width, self.counts[steps:] + [0] * steps
            return Slices(self.width, start, counts)
        return Slices(self.width, now, self.counts) if self.is_ahead(now) else self

    def look(self, now: int, window: Window, cost: int) -> Look:
        """The window as it is at `now`; of one that is `settled`."""
        used = sum(self.counts)
        oldest = self._leaves(now, 1)
        if cost > window.limit:
            return Look(used, window.milliseconds, oldest)
        wait = self._leaves(now, used + cost - window.limit) if used + cost > window.limit else 0
        return Look(used, wait, oldest)

    def _leaves(self, now: int, wanted: int) -> int:
        """Milliseconds until `wanted` hits have left; 0 if there are not so many."""
        left = 0
        for number, count in enumerate(self.counts, 1):
            left += count
            if left >= wanted:
                return self.start + number * self.width - now
        return 0

    def alone_ms(self, now: int, window: Window) -> int:
        return self.start + SLICES * self.width - now

    def add(self, now: int, cost: int, windows: Sequence[Window]) -> None:
        """Counts `cost` hits; of one that is `settled`."""
        self.counts[-1] += cost

    def take(self, at: int, cost: int) -> None:
        """Takes back up to `cost` hits of the slice in which `at` lies."""
        back = -((at - self.start) // self.width) if at < self.start else 0
        if back < SLICES:
            index = SLICES - 1 - back
            self.counts[index] = max(0, self.counts[index] - cost)

    def lives_ms(self, windows: Sequence[Window]) -> int:
        """How long after its last hit it is of use."""
        return SLICES * self.width

    def __len__(self) -> int:
        return SLICES

    def encode(self) -> bytes:
        """Six bytes for the start, four for each slice."""
        return self.start.to_bytes(HEADER_BYTES) + struct.pack(f">{SLICES}I", *self.counts)

    @classmethod
    def decode(cls, encoded: bytes, width: int) -> "Slices":
        start = int.from_bytes(encoded[:HEADER_BYTES])
        return cls(width, start, struct.unpack_from(f">{SLICES}I", encoded, HEADER_BYTES))
