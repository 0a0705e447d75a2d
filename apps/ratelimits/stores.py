"""The store of this process: Redis, and what stands in for it while it is away."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from django.core.signals import setting_changed

from apps.core.breaker import FAILURES, Breaker
from apps.ratelimits.ledger import Answer, Ask, Source
from apps.ratelimits.metrics import DECISIONS, STANDBY
from apps.ratelimits.recent import Refusals
from apps.ratelimits.redis_store import RedisStore
from apps.ratelimits.standby import Standby
from apps.ratelimits.tally import Tally, outcome_of

T = TypeVar("T")

MEMORY = "memory"
"""The LIMITS_REDIS_URL of who has no Redis."""


class LimitStore:
    """Where hits are counted. Never raises because Redis is away."""

    def __init__(self, redis: RedisStore | None) -> None:
        self.redis = redis
        self.standby = Standby()
        self.breaker = Breaker(
            redis.probe if redis else _nothing,
            name="limits",
            meanwhile="each process counts by itself",
        )
        self.refusals = Refusals()
        self.tally = Tally()

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room.

        At most one round trip to Redis, none for who was refused the same within a second.
        """
        if not hit:
            return self._peek(asks)
        answer = self._decide(asks)
        _count(asks, answer)
        return answer

    def _decide(self, asks: Sequence[Ask]) -> Answer:
        minute = int(time.time() // 60)
        answer = self.refusals.find(asks)
        if answer is None:
            asked_at = self.refusals.clock()
            answer = self._ask_redis(asks, minute)
            if answer is not None:
                if not answer.allowed:
                    self.refusals.note(asks, answer, asked_at)
                return answer
            answer = self.standby.decide(asks, hit=True)
        self.tally.note(asks, answer, minute)
        return answer

    def refund(self, asks: Sequence[Ask], at_ms: int, source: Source) -> None:
        """Takes back what a decision at `at_ms` counted for `asks` in `source`."""
        self.refusals.forget([ask.key for ask in asks])
        if source is not Source.REDIS:
            self.standby.refund(asks, at_ms, source)
        elif self.redis and self.breaker.is_closed():
            try:
                self.redis.refund(asks, at_ms)
            except FAILURES as error:
                self._away(self.redis, error)

    def forget(self, keys: Sequence[str]) -> bool:
        """The counts of these keys begin anew; False where Redis goes on with its own, because it
        is away. Raises DatabaseError."""
        self.refusals.forget(keys)
        self.standby.forget(keys)
        if self.redis is None:
            return True
        if not self.breaker.is_closed():
            return False
        try:
            self.redis.forget(keys)
        except FAILURES as error:
            self._away(self.redis, error)
            return False
        return True

    def note(self, name: str, outcome: str) -> None:
        """Counts in the statistics what a rule did of which the store was asked nothing."""
        DECISIONS.labels(name, outcome).inc()
        self.tally.count([f"{name}:{outcome}"], int(time.time() // 60))

    def ask(self, work: Callable[[RedisStore], T]) -> T | None:
        """What `work` gets from Redis; None while it is away, and where there is none."""
        if self.redis is None or not self.breaker.is_closed():
            return None
        try:
            return work(self.redis)
        except FAILURES as error:
            self._away(self.redis, error)
            return None

    def _peek(self, asks: Sequence[Ask]) -> Answer:
        return self._ask_redis(asks, 0, hit=False) or self.standby.decide(asks, hit=False)

    def _ask_redis(self, asks: Sequence[Ask], minute: int, *, hit: bool = True) -> Answer | None:
        """Its answer, or None while it is away."""
        if self.redis is None or not self.breaker.is_closed():
            return None
        late = self.tally.take()
        try:
            return self.redis.decide(asks, hit=hit, minute=minute, late=late)
        except FAILURES as error:
            self.tally.put_back(late)
            self._away(self.redis, error)
            return None

    def _away(self, redis: RedisStore, error: Exception) -> None:
        self.breaker.trip(error)
        redis.disconnect()


def _count(asks: Sequence[Ask], answer: Answer) -> None:
    for ask, verdict in zip(asks, answer.verdicts, strict=True):
        outcome = outcome_of(ask, verdict.wait_ms, answer) if ask.tally else ""
        if outcome:
            DECISIONS.labels(ask.tally, outcome).inc()
        if ask.tally and answer.source is not Source.REDIS:
            STANDBY.labels(ask.tally).inc()


@cache
def store() -> LimitStore:
    """The store that LIMITS_REDIS_URL names, made on first use."""
    url = settings.LIMITS_REDIS_URL
    return LimitStore(None if url == MEMORY else RedisStore(url))


def _nothing() -> None:
    """There is no Redis to probe."""


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "LIMITS_REDIS_URL":
        store.cache_clear()


setting_changed.connect(_forget)
