"""Decisions that were made without Redis, for its statistics: they go along with the next call."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from apps.ratelimits.ledger import Answer, Ask, Source
from apps.ratelimits.redis_store import Late

AT_ONCE = 50
MAX_FIELDS = 2000
"""Of a long outage the latest decisions are not counted any more."""


class Tally:
    """Of this process; what it has when the process ends is lost."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, asks: Sequence[Ask], answer: Answer, minute: int) -> None:
        """Counts the outcome of each ask in `minute` (Unix time / 60)."""
        fields = [
            f"{ask.tally}:{outcome}"
            for ask, verdict in zip(asks, answer.verdicts, strict=True)
            if ask.tally and (outcome := outcome_of(ask, verdict.wait_ms, answer))
        ]
        if answer.source is not Source.REDIS:
            fields += [f"{ask.tally}:standby" for ask in asks if ask.tally]
        self.count(fields, minute)

    def count(self, fields: Iterable[str], minute: int) -> None:
        """Counts `limiter:outcome` in `minute`."""
        with self._lock:
            for field in fields:
                if (minute, field) in self._counts or len(self._counts) < MAX_FIELDS:
                    self._counts[minute, field] += 1

    def take(self) -> list[Late]:
        """Some of what is to be told; it is not here any more."""
        if not self._counts:
            return []
        with self._lock:
            taken = [Late(*at, number) for at, number in list(self._counts.items())[:AT_ONCE]]
            for each in taken:
                del self._counts[each.minute, each.field]
        return taken

    def put_back(self, late: Sequence[Late]) -> None:
        """What was taken could not be told."""
        with self._lock:
            for each in late:
                self._counts[each.minute, each.field] += each.number


def outcome_of(ask: Ask, wait_ms: int, answer: Answer) -> str:
    """As `scripts/decide.lua` counts it; "" for who had room but went with one that had not, and
    for a shadow, which stands beside what is counted."""
    if wait_ms:
        return "shadow" if ask.shadow else "refused"
    return "allowed" if answer.allowed and not ask.shadow else ""
