"""What a process has counted and not told Redis yet, for statistics by the minute."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

AT_ONCE = 50
MAX_FIELDS = 2000
"""Of a long outage the latest is not counted any more."""


class Late(NamedTuple):
    """What is added to the statistics of a minute (Unix time / 60) after it."""

    minute: int
    field: str
    number: int


class Tally:
    """Of this process; what it has when the process ends is lost."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def count(self, fields: Iterable[str], minute: int) -> None:
        """Counts one more for each of `fields` in `minute`."""
        self.add(Counter(fields), minute)

    def add(self, numbers: Mapping[str, int], minute: int) -> None:
        """Counts so many more of each field in `minute`."""
        with self._lock:
            for field, number in numbers.items():
                at = minute, field
                if at in self._counts or len(self._counts) < MAX_FIELDS:
                    self._counts[at] += number

    def take(self, most: int = AT_ONCE) -> list[Late]:
        """Some of what is to be told; it is not here any more."""
        if not self._counts:
            return []
        with self._lock:
            taken = [Late(*at, number) for at, number in list(self._counts.items())[:most]]
            for each in taken:
                del self._counts[each.minute, each.field]
        return taken

    def put_back(self, late: Sequence[Late]) -> None:
        """What was taken could not be told."""
        with self._lock:
            for each in late:
                self._counts[each.minute, each.field] += each.number
