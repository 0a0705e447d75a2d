"""The cache in which django-ratelimit counts: that of the limits, and memory while it is away.

With a cache that raises, its RATELIMIT_FAIL_OPEN never comes to pass and the page fails; with one
that swallows errors it refuses everybody, or nobody. Here each process counts by itself meanwhile.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from redis import Redis

from apps.core.breaker import FAILURES
from apps.ratelimits.redis_store import PREFIX
from apps.ratelimits.stores import store

T = TypeVar("T")
LOST_SECONDS = 60
"""How long a number is kept that expired between being looked for and being raised."""


class GuardCache(BaseCache):
    """Whole numbers that only grow: what `get_usage` of django-ratelimit asks for, no more."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._memory = LocMemCache(location, params)

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> bool:
        seconds = int((self.default_timeout or 0) if timeout is DEFAULT_TIMEOUT else timeout)
        added = self._ask(lambda redis: bool(redis.set(_key(key), value, ex=seconds, nx=True)))
        return self._memory.add(key, value, seconds) if added is None else added

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        found: Any = self._ask(lambda redis: redis.get(_key(key)) or b"")
        found = self._memory.get(key) if found is None else found
        return int(found) if found else default

    def incr(self, key: str, delta: int = 1, version: Any = None) -> int:
        raised = self._ask(lambda redis: _raise(redis, _key(key), delta))
        if raised is not None:
            return raised
        # It may have been added to Redis, before that went away.
        self._memory.add(key, 0, LOST_SECONDS)
        return int(self._memory.incr(key, delta))

    def _ask(self, call: Callable[[Redis], T]) -> T | None:
        """What Redis answers, None while it is away."""
        limits = store()
        if limits.redis is None or not limits.breaker.is_closed():
            return None
        try:
            return call(limits.redis.client)
        except FAILURES as error:
            limits.breaker.trip(error)
            limits.redis.disconnect()
            return None


def _raise(redis: Redis, key: str, delta: int) -> int:
    """One that is gone begins anew, with an end: it may have expired a moment ago."""
    with redis.pipeline() as both:
        both.set(key, 0, ex=LOST_SECONDS, nx=True)
        both.incrby(key, delta)
        return int(both.execute()[1])


def _key(key: str) -> str:
    return f"{PREFIX}{key}"
