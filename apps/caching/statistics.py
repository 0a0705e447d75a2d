"""How often values were found, by kind: counted here, told to Redis a few seconds later."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from apps.caching.keys import VALUES
from apps.caching.kinds import TABLE
from apps.caching.metrics import ASKED
from apps.caching.stores import AnyCache, store
from apps.core.tally import Tally

OUTCOMES = ("hit", "stale", "wait", "miss", "error")
"""What a request found: the value; one that is computed anew meanwhile; one that somebody else was
computing, for which it waited; nothing, so that it computed it. An `error` is a computation that
failed, and is counted beside them."""
SAVED = "saved_ms"
FIELDS = (*OUTCOMES, SAVED)
FLUSH_SECONDS = 5.0
FLUSHED_TOGETHER = 500
MAX_SCANNED = 200_000
SCANNED_TOGETHER = 1000

Numbers = dict[str, Counter[str]]
"""Kind -> field -> number."""


class Flusher:
    """Tells Redis what was counted, at most every few seconds: no request waits for it."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def count(self, kind: str, **numbers: int) -> None:
        fields = {f"{kind}:{field}": number for field, number in numbers.items()}
        self.tally.add(fields, int(time.time() // 60))
        for outcome in numbers.keys() & OUTCOMES:
            ASKED.labels(kind, outcome).inc(numbers[outcome])
        if self._timer is None:
            self._start()

    def flush(self) -> None:
        """Now; what cannot be told stays for later."""
        while late := self.tally.take(FLUSHED_TOGETHER):
            if not store().count(late):
                self.tally.put_back(late)
                return

    def _start(self) -> None:
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._run)
                self._timer.daemon = True
                try:
                    self._timer.start()
                except RuntimeError:  # the machine gives no more threads
                    self._timer = None

    def _run(self) -> None:
        self._timer = None  # what is counted from now on starts the next one
        self.flush()
        if self.tally:
            self._start()


flusher = Flusher()


def numbers(minutes: Sequence[int]) -> list[Numbers] | None:
    """Of each of `minutes` (Unix time / 60), over all processes; None while Redis is away."""
    flusher.flush()
    counted = store().ask_shared(lambda cache: cache.counted(minutes))
    return None if counted is None else [_by_kind(each) for each in counted]


def together(parts: Iterable[Numbers]) -> Numbers:
    """All kinds of the table, with what is in `parts` added up."""
    total: Numbers = {kind: Counter() for kind in TABLE}
    for part in parts:
        for kind, fields in part.items():
            total[kind] += fields
    return total


def hit_rate(fields: Counter[str]) -> float | None:
    """The share (0..1) of requests that did not wait for a computation; None where none was."""
    asked = sum(fields[each] for each in ("hit", "stale", "wait", "miss"))
    return (fields["hit"] + fields["stale"]) / asked if asked else None


def sizes() -> dict[str, tuple[int, int]] | None:
    """Kind -> (values, bytes) that are stored now; of a very full store the first that are found.
    None while Redis is away."""
    return store().ask_shared(_sizes)


def _sizes(cache: AnyCache) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = dict.fromkeys(TABLE, (0, 0))
    for keys in batches(islice(cache.names(VALUES), MAX_SCANNED), SCANNED_TOGETHER):
        for key, size in zip(keys, cache.sizes(keys), strict=True):
            kind = key.removeprefix(VALUES).partition(":")[0]
            if kind in found:
                values, total = found[kind]
                found[kind] = values + 1, total + size
    return found


def _by_kind(fields: dict[str, int]) -> Numbers:
    found: Numbers = {}
    for field, number in fields.items():
        kind, _, name = field.partition(":")
        if kind in TABLE and name in FIELDS:
            found.setdefault(kind, Counter())[name] = number
    return found


def batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    """`keys` in lists of up to `size`."""
    rest = iter(keys)
    while some := list(islice(rest, size)):
        yield some
