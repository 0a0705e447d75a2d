"""A cache in the memory of this process, bounded in entries and bytes: while Redis is away, and
where there is none."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from apps.caching.envelope import softened
from apps.core.tally import Late

ENTRY_BYTES = 200
"""What Python takes for an entry besides its key and value, or a little less."""
LARGEST_SHARE = 4
"""No value has more than a quarter of all bytes: it would have the place of everything else."""
MINUTES_KEPT = 2880


class MemoryCache(BaseCache):
    """Django's cache API for values that are bytes, and what `SharedCache` can do besides.

    What was not asked for the longest goes first. Unlike Django's own it has one store for each
    instance, copies nothing, and counts bytes. Safe to use from several threads.
    """

    def __init__(
        self,
        location: str = "",
        params: Mapping[str, Any] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(dict(params or {}))
        self._clock = clock
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._numbers: dict[int, Counter[str]] = {}
        self._lock = threading.RLock()

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return default
            if kept[1] <= self._clock():
                self._drop(key)
                return default
            self._kept.move_to_end(key)
            return kept[0]

    def get_many(self, keys: Iterable[str], version: Any = None) -> dict[str, Any]:
        with self._lock:  # all of one moment
            found = ((key, self.get(key)) for key in keys)
            return {key: value for key, value in found if value is not None}

    def set(
        self, key: str, value: bytes, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> None:
        seconds = float((self.default_timeout or 0) if timeout is DEFAULT_TIMEOUT else timeout)
        with self._lock:
            self._drop(key)
            size = _size(key, value)
            if size > settings.CACHE_LOCAL_BYTES // LARGEST_SHARE:
                return
            self._kept[key] = (value, self._clock() + seconds)
            self._bytes += size
            while (
                len(self._kept) > settings.CACHE_LOCAL_ENTRIES
                or self._bytes > settings.CACHE_LOCAL_BYTES
            ):
                self._drop(next(iter(self._kept)))

    def add(
        self, key: str, value: bytes, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> bool:
        with self._lock:
            if self.get(key) is not None:
                return False
            self.set(key, value, timeout)
            return True

    def delete(self, key: str, version: Any = None) -> bool:
        with self._lock:
            return self._drop(key)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def release(self, key: str, token: bytes) -> None:
        """Deletes `key` if it holds `token`."""
        with self._lock:
            if self.get(key) == token:
                self._drop(key)

    def replace(self, stamps: Mapping[str, bytes], timeout: float) -> None:
        """Puts these in the place of those that are there. Where there is none nothing has to be:
        no value is found without."""
        with self._lock:
            for key, stamp in stamps.items():
                if self.get(key) is not None:
                    self.set(key, stamp, timeout)

    def soften(self, keys: Iterable[str], timeout: float) -> None:
        """What has one of these stamps is stale."""
        with self._lock:
            for key in keys:
                if stamp := self.get(key):
                    self.set(key, softened(stamp), timeout)

    def names(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`."""
        with self._lock:
            yield from [key for key in self._kept if key.startswith(prefix)]

    def sizes(self, keys: Sequence[str]) -> list[int]:
        """The bytes of each value, 0 for none."""
        with self._lock:
            return [len(self._kept[key][0]) if key in self._kept else 0 for key in keys]

    def count(self, late: Iterable[Late]) -> None:
        """Adds to the numbers of minutes."""
        with self._lock:
            for each in late:
                self._numbers.setdefault(each.minute, Counter())[each.field] += each.number
            while len(self._numbers) > MINUTES_KEPT:
                del self._numbers[min(self._numbers)]

    def counted(self, minutes: Sequence[int]) -> list[dict[str, int]]:
        """The numbers of each of `minutes` (Unix time / 60)."""
        with self._lock:
            return [dict(self._numbers.get(minute, ())) for minute in minutes]

    def probe(self) -> None:
        """It is always there."""

    def disconnect(self) -> None:
        """It is never away."""

    @property
    def used(self) -> tuple[int, int]:
        """Entries, and bytes."""
        return len(self._kept), self._bytes

    def _drop(self, key: str) -> bool:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= _size(key, kept[0])
        return kept is not None


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
