"""Refusals of the last second: who hammers is told again what he was told, without asking Redis."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from apps.ratelimits.ledger import Answer, Ask, Verdict
from apps.ratelimits.log import Use

KEPT_SECONDS = 0.8
"""At most: so soon after it was reset, a limit is open in every process. A second is promised."""
MAX_REFUSALS = 10_000


class _Refusal(NamedTuple):
    asks: tuple[Ask, ...]
    answer: Answer
    at: float
    until: float


class Refusals:
    """Of this process. Only of the very same asks: others may have room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._kept: OrderedDict[tuple[str, ...], _Refusal] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, asks: Sequence[Ask], answer: Answer, asked_at: float) -> None:
        """Remembers a refusal. `asked_at` (of `clock`) is before it was asked for: an answer that
        took long ends no later."""
        waits = [
            verdict.wait_ms
            for ask, verdict in zip(asks, answer.verdicts, strict=True)
            if verdict.wait_ms and not ask.shadow
        ]
        until = asked_at + min(KEPT_SECONDS, max(waits) / 1000)
        with self._lock:
            self._kept[_keys(asks)] = _Refusal(tuple(asks), answer, asked_at, until)
            self._kept.move_to_end(_keys(asks))
            # All of them are looked through when something is given back.
            while len(self._kept) > MAX_REFUSALS or self._oldest().until <= asked_at:
                self._kept.popitem(last=False)

    def find(self, asks: Sequence[Ask]) -> Answer | None:
        """The refusal of these asks, as it is by now; None when the store has to be asked."""
        if not self._kept:
            return None
        found = self._kept.get(_keys(asks))
        if found is None:
            return None
        now = self.clock()
        if now >= found.until or found.asks != tuple(asks):
            with self._lock:
                self._kept.pop(_keys(asks), None)
            return None
        return _aged(found.answer, int((now - found.at) * 1000))

    def forget(self, keys: Sequence[str]) -> None:
        """Those of any of these keys."""
        with self._lock:
            for refused in [each for each in self._kept if not set(keys).isdisjoint(each)]:
                del self._kept[refused]

    def _oldest(self) -> _Refusal:
        return next(iter(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)


def _keys(asks: Sequence[Ask]) -> tuple[str, ...]:
    return tuple([ask.key for ask in asks])


def _aged(answer: Answer, passed_ms: int) -> Answer:
    """The same, `passed_ms` later."""

    def less(number: int) -> int:
        return max(1, number - passed_ms) if number else 0

    verdicts = [
        Verdict(tuple([Use(use.used, less(use.reset_ms)) for use in each.uses]), less(each.wait_ms))
        for each in answer.verdicts
    ]
    # The stamp is as old as the refusal, so it is not told again.
    now_ms = answer.now_ms + passed_ms
    return answer._replace(now_ms=now_ms, verdicts=tuple(verdicts), stamp="")
