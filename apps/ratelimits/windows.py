"""Windows of a limiter: how many in how long, as people write it: `100/min, 1000/h, 20/s`."""

import re
from itertools import pairwise
from typing import NamedTuple

from apps.core.durations import UNIT_OF, UNITS

MAX_SECONDS = 31 * 86400
"""The log of a key holds times as 32-bit milliseconds, which is 49 days."""
MAX_LIMIT = 1_000_000_000
MAX_WINDOWS = 6
UNLIMITED = ("unlimited", "none")
EXAMPLE = 'for example "100/min, 1000/h" or "5/15min"'

_WINDOW = re.compile(r"(\d+)\s*/\s*(\d*)\s*([a-z]+)", re.ASCII)


class BadWindows(ValueError):
    """The text names no windows; the message says what is wrong with it and gives an example."""


class Window(NamedTuple):
    """At most `limit` hits in any `seconds` seconds."""

    limit: int
    seconds: int

    @property
    def name(self) -> str:
        """What the window is called in headers: `minute`, `hour`, `15-minutes`."""
        count, unit = _in_words(self.seconds)
        return unit if count == 1 else f"{count}-{unit}s"

    @property
    def milliseconds(self) -> int:
        return self.seconds * 1000

    def __str__(self) -> str:
        """As `parse_windows` reads it and people say it: `5 per 15 minutes` is `5/15 minutes`."""
        count, unit = _in_words(self.seconds)
        return f"{self.limit}/{unit}" if count == 1 else f"{self.limit}/{count} {unit}s"


def parse_windows(text: str) -> tuple[Window, ...]:
    """The windows that `text` names, the shortest first; none for `unlimited`.

    Units are s, min, h and d, or the words. Raises BadWindows.
    """
    text = text.strip().lower()
    if text in UNLIMITED:
        return ()
    parts = [part.strip() for part in text.split(",")]
    windows = sorted({_window(part) for part in parts}, key=lambda window: window[::-1])
    if len(windows) > MAX_WINDOWS:
        raise BadWindows(f"at most {MAX_WINDOWS} windows, not {len(windows)}")
    for shorter, longer in pairwise(windows):
        if shorter.seconds == longer.seconds:
            raise BadWindows(f"two limits for the same time: {shorter} and {longer}")
        if shorter.limit >= longer.limit:
            raise BadWindows(f"{shorter} can never be reached beside {longer}")
    return tuple(windows)


def _window(part: str) -> Window:
    match = _WINDOW.fullmatch(part)
    if match is None or match[3] not in UNIT_OF:
        raise BadWindows(f"{part!r} is not a number per time; {EXAMPLE}")
    limit = int(match[1])
    seconds = int(match[2] or 1) * UNITS[UNIT_OF[match[3]]]
    if not 1 <= limit <= MAX_LIMIT:
        raise BadWindows(f"{part!r}: the number must be from 1 to {MAX_LIMIT}; {EXAMPLE}")
    if not 1 <= seconds <= MAX_SECONDS:
        raise BadWindows(f"{part!r}: the time must be from 1 second to 31 days; {EXAMPLE}")
    return Window(limit, seconds)


def _in_words(seconds: int) -> tuple[int, str]:
    """The largest unit that measures `seconds` without a rest, and how many of it."""
    for unit in ("d", "h", "m"):
        if seconds % UNITS[unit] == 0:
            return seconds // UNITS[unit], {"d": "day", "h": "hour", "m": "minute"}[unit]
    return seconds, "second"
