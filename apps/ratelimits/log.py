"""The exact sliding log of one key, in process: the times of its hits, oldest first.

`scripts/decide.lua` does the same in Redis; one suite holds both to an oracle. Times are whole
milliseconds. A hit at `t` counts in a window of `w` until, and not at, `t + w`.
"""

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from apps.ratelimits.windows import Window

HEADER_BYTES = 6


class Use(NamedTuple):
    """How much of a window is used, and in how many milliseconds more is free.

    More is one hit; for a window that refuses, what was asked for.
    """

    used: int
    reset_ms: int


class Look(NamedTuple):
    """A window before the decision: hits that count, the wait (0: room enough), and when the
    oldest of the hits leaves (0: there are none)."""

    used: int
    wait_ms: int
    oldest_ms: int

    def after(self, cost: int, *, recorded: bool, alone_ms: int) -> Use:
        """The window after the decision; a hit that is the only one leaves in `alone_ms`."""
        if recorded:
            return Use(self.used + cost, self.oldest_ms or alone_ms)
        return Use(self.used, self.wait_ms or self.oldest_ms)


class Log:
    """Times of hits. `encode` gives the bytes that Redis keeps of it."""

    __slots__ = ("times",)

    def __init__(self, times: Sequence[int] = ()) -> None:
        self.times = array("q", times)

    def is_ahead(self, now: int) -> bool:
        """Whether the clock went back behind the newest hit."""
        return bool(self.times) and self.times[-1] > now

    def settled(self, now: int) -> "Log":
        """As it is at `now`. Of one that is ahead all hits move back by as much: no time counts as
        passed since the newest, so that nobody gets more than the limit, and nobody waits longer
        than a window."""
        if not self.is_ahead(now):
            return self
        ahead = self.times[-1] - now
        return Log([time - ahead for time in self.times])

    def look(self, now: int, window: Window, cost: int) -> Look:
        """The window as it is at `now`."""
        times, limit, cut = self.times, window.limit, now - window.milliseconds
        first = bisect_right(times, cut)
        used = len(times) - first
        oldest = times[first] - cut if used else 0
        if cost > limit:
            return Look(used, window.milliseconds, oldest)
        # So many may stay; the newest of the others has to leave.
        leaving = len(times) - (limit - cost) - 1
        wait = times[leaving] - cut if leaving >= first else 0
        return Look(used, wait, oldest)

    def alone_ms(self, now: int, window: Window) -> int:
        return window.milliseconds

    def add(self, now: int, cost: int, windows: Sequence[Window]) -> None:
        """Counts `cost` hits, and forgets those that are in no window any more."""
        longest = max(window.milliseconds for window in windows)
        del self.times[: bisect_right(self.times, now - longest)]
        self.times.extend([now] * cost)

    def take(self, at: int, cost: int) -> None:
        """Takes back up to `cost` hits that were counted at `at`."""
        first = bisect_left(self.times, at)
        last = bisect_right(self.times, at)
        del self.times[first : min(last, first + cost)]

    def lives_ms(self, windows: Sequence[Window]) -> int:
        """How long after its last hit a log is of use."""
        return max(window.milliseconds for window in windows)

    def __len__(self) -> int:
        return len(self.times)

    def encode(self) -> bytes:
        """Six bytes for the first time, four for each as its distance from the first."""
        base = self.times[0] if self.times else 0
        offsets = [time - base for time in self.times]
        return base.to_bytes(HEADER_BYTES) + struct.pack(f">{len(offsets)}I", *offsets)

    @classmethod
    def decode(cls, encoded: bytes) -> "Log":
        base = int.from_bytes(encoded[:HEADER_BYTES])
        count = (len(encoded) - HEADER_BYTES) // 4
        offsets = struct.unpack_from(f">{count}I", encoded, HEADER_BYTES)
        return cls([base + offset for offset in offsets])
