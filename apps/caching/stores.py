"""Where this process keeps values: in Redis, and in its own memory while that is away.

An invalidation that Redis cannot be told is remembered, and told before this process reads from it
again: nothing that it ended is ever served here. Other processes may serve it once Redis is back,
until this one notices that, which takes two or three seconds; and if this process ends before,
until the value's time is over. While Redis is away, what one process invalidates the others do not
hear of: what each keeps by itself meanwhile lasts for `LOCAL_SECONDS` at the most.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.core.cache import caches
from django.core.signals import setting_changed

from apps.caching.envelope import STAMP_BYTES, new_stamp
from apps.caching.keys import kind_tag, tag_key
from apps.caching.kinds import MAX_SECONDS, TABLE
from apps.caching.memory_cache import MemoryCache
from apps.caching.shared_cache import SharedCache
from apps.core.breaker import FAILURES, PAUSE_SECONDS, Breaker, in_background
from apps.core.tally import Late

T = TypeVar("T")
AnyCache = SharedCache | MemoryCache

ALIAS = "values"
"""Of the cache in Django's CACHES."""
STAMP_SECONDS = 7 * MAX_SECONDS
"""Longer than any value lasts. A stamp that is gone before its values is a miss, never a hit."""
LOCAL_SECONDS = 5
"""How long what is kept without Redis lasts."""
MAX_PENDING = 10_000
"""Tags that are remembered until Redis is told; with more of them everything is invalidated."""


class Store:
    """Never raises because Redis is away."""

    def __init__(self, shared: AnyCache, local: MemoryCache) -> None:
        self.shared = shared
        self.local = local
        self.breaker = Breaker(
            self._recover, name="cache", meanwhile="each process keeps what it computes for seconds"
        )
        self._pending: dict[str, tuple[int, bool]] = {}
        self._held: dict[tuple[str, bytes], bool] = {}
        """Locks that Redis may have of this process, and whether it is done with them."""
        self._serial = itertools.count()
        self._lock = threading.Lock()
        self._is_persisting = False

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of `keys` that are there; one round trip."""
        return self.ask(lambda cache: cache.get_many(keys))

    def write(self, key: str, value: bytes, seconds: float) -> None:
        self.ask(lambda cache: cache.set(key, value, self._last(cache, seconds)))

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Whether it was not there before."""
        return self.ask(lambda cache: bool(cache.add(key, value, seconds)))

    def hold(self, key: str, token: bytes, seconds: float) -> bool:
        """Whether the lock `key` is the caller's now, who releases it then."""
        lock = key, token

        def take(cache: AnyCache) -> bool:
            if cache is self.local:
                return cache.add(key, token, seconds)
            self._held[lock] = False  # before it is asked: it may take it and go away
            is_taken = bool(cache.add(key, token, seconds))
            if not is_taken:
                del self._held[lock]
            return is_taken

        return self.ask(take)

    def release(self, key: str, token: bytes) -> None:
        """Gives the lock back if `token` holds it; to a Redis that is away once it is back, or
        others would wait for nobody."""
        lock = key, token
        if lock in self._held:
            self._held[lock] = True

        def give(cache: AnyCache) -> None:
            cache.release(key, token)
            if cache is self.shared:
                self._held.pop(lock, None)

        self.ask(give)

    def delete(self, key: str) -> None:
        self.ask(lambda cache: cache.delete(key))

    def stamps(self, tags: Sequence[str]) -> dict[str, bytes]:
        """The stamps of the keys of tags, of each; those that are missing are made."""
        found = self.read(tags)
        for tag in tags:
            if tag not in found:
                self.add(tag, new_stamp(), STAMP_SECONDS)
        if len(found) != len(set(tags)):
            found = self.read(tags)
        for tag in tags:
            if len(found.get(tag, b"")) != STAMP_BYTES:
                # What stands there is none, or it is gone again already.
                found[tag] = new_stamp()
                self.write(tag, found[tag], STAMP_SECONDS)
        return found

    def invalidate(self, tags: Iterable[str], *, soft: bool = False) -> None:
        """What has one of these keys of tags is not served any more, or with `soft` is stale."""
        with self._lock:
            for tag in tags:
                was_soft = self._pending.get(tag, (0, True))[1]
                self._pending[tag] = next(self._serial), soft and was_soft
            if len(self._pending) > MAX_PENDING:
                everything = [tag_key(kind_tag(kind)) for kind in TABLE]
                is_soft = all(each for _, each in self._pending.values())
                self._pending = {tag: (next(self._serial), is_soft) for tag in everything}
            pending = dict(self._pending)
        if not self._is_told():
            _apply(self.local, pending)
            self._persist()

    @property
    def owes(self) -> bool:
        """Whether something was invalidated that Redis has not been told yet."""
        return bool(self._pending)

    def count(self, late: Sequence[Late]) -> bool:
        """Adds to the statistics; False where that has to wait, because Redis is away."""

        def tell(cache: AnyCache) -> bool:
            cache.count(late)
            return True

        return bool(self.ask_shared(tell))

    def ask_shared(self, work: Callable[[AnyCache], T]) -> T | None:
        """What `work` gets from where all processes keep values; None while that is away."""
        if not self._is_told():
            return None
        try:
            return work(self.shared)
        except FAILURES as error:
            self._away(error)
            return None

    def ask(self, work: Callable[[AnyCache], T]) -> T:
        if self._is_told():
            try:
                return work(self.shared)
            except FAILURES as error:
                self._away(error)
        return work(self.local)

    def _is_told(self) -> bool:
        """Whether Redis is there, and knows of all that was invalidated."""
        if not self.breaker.is_closed():
            return False
        if self._pending:
            try:
                self._tell()
            except FAILURES as error:
                self._away(error)
                return False
        return True

    def _tell(self) -> None:
        # Until they are told they stay where everybody else sees that they are not. Telling twice
        # costs a miss.
        with self._lock:
            told = dict(self._pending)
        _apply(self.shared, told)
        with self._lock:
            for tag, which in told.items():
                if self._pending.get(tag) == which:
                    del self._pending[tag]

    def _recover(self) -> None:
        """The probe: once it succeeds, everybody here reads from Redis again."""
        self.shared.probe()
        self._tell()
        for lock, is_done in list(self._held.items()):
            if is_done:
                self.shared.release(*lock)
                self._held.pop(lock, None)

    def _away(self, error: Exception) -> None:
        if not self.breaker.is_open:
            self.local.clear()
        self.breaker.trip(error)
        self.shared.disconnect()

    def _persist(self) -> None:
        """Goes on trying, also when nobody asks for anything."""
        with self._lock:
            if self._is_persisting:
                return
            self._is_persisting = True
        in_background(self._keep_trying)

    def _keep_trying(self) -> None:
        while True:
            time.sleep(PAUSE_SECONDS / 4)
            self._is_told()
            with self._lock:
                if not self._pending:
                    self._is_persisting = False
                    return

    def _last(self, cache: AnyCache, seconds: float) -> float:
        is_standby = cache is self.local and cache is not self.shared
        return min(seconds, LOCAL_SECONDS) if is_standby else seconds


def _apply(cache: AnyCache, tags: dict[str, tuple[int, bool]]) -> None:
    hard = [tag for tag, (_, is_soft) in tags.items() if not is_soft]
    soft = [tag for tag, (_, is_soft) in tags.items() if is_soft]
    if hard:
        cache.replace({tag: new_stamp() for tag in hard}, STAMP_SECONDS)
    if soft:
        cache.soften(soft, STAMP_SECONDS)


@cache
def store() -> Store:
    """The store of CACHES["values"], made on first use.

    One for all threads: unlike those of `django.core.cache.caches`, of which each thread has one.
    """
    shared: Any = caches.create_connection(ALIAS)
    return Store(shared, shared if isinstance(shared, MemoryCache) else MemoryCache())


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        store.cache_clear()


setting_changed.connect(_forget)
