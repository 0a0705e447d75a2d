"""The limits of this process alone: while Redis is away, and where there is none."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from apps.ratelimits.ledger import Answer, Ask, Meter, State, decide, meters_of

MAX_KEYS = 50_000
MAX_HITS = 1_000_000
"""Eight bytes each. Keys that were not asked for the longest are forgotten first."""


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore:
    """Decides like Redis, for this process. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], int] = wall_clock_ms) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[State, int]] = OrderedDict()
        self._hits = 0
        self._lock = threading.Lock()

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room."""
        with self._lock:
            answer = decide(asks, self._clock(), hit=hit, load=self._load, save=self._save)
            while len(self._kept) > MAX_KEYS or self._hits > MAX_HITS:
                self._hits -= self._kept.popitem(last=False)[1][1]
        return answer

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None:
        """Takes back what a decision at `at_ms` counted for `asks`."""
        with self._lock:
            for ask in asks:
                for meter in meters_of(ask.windows):
                    key = ask.key + meter.suffix
                    if key in self._kept:
                        state = self._load(key, meter)
                        state.take(at_ms, ask.cost)
                        self._save(key, meter, state)

    def forget(self, keys: Sequence[str]) -> None:
        """The counts of these keys begin anew."""
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._hits -= self._kept.pop(key)[1]

    def _load(self, key: str, meter: Meter) -> State:
        kept = self._kept.get(key)
        if kept is None:
            return meter.new()
        self._kept.move_to_end(key)
        return kept[0]

    def _save(self, key: str, meter: Meter, state: State) -> None:
        before = self._kept[key][1] if key in self._kept else 0
        self._kept[key] = (state, len(state))
        self._hits += len(state) - before

    def __len__(self) -> int:
        return len(self._kept)
