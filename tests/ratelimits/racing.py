"""Several processes that ask for the same budget at the same moment."""

import multiprocessing
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from rest_framework.throttling import SimpleRateThrottle

from apps.ratelimits.ledger import Ask
from apps.ratelimits.redis_store import RedisStore
from apps.ratelimits.windows import Window

PROCESSES = 8
REQUESTS = 300
LIMIT = 100

_context: Any = multiprocessing.get_context("fork")
Racer = Callable[[], Callable[[], bool]]
"""Called in each process; gives what asks once and says whether it may."""


class Throttle(SimpleRateThrottle):
    """Django REST framework's own, for comparison: it reads the log, then writes it."""

    rate = f"{LIMIT}/min"
    key = "limits-race"

    def get_cache_key(self, request: object, view: object) -> str:
        return self.key


def throttle() -> Callable[[], bool]:
    cache.close()
    throttle: Any = Throttle()
    return lambda: bool(throttle.allow_request(None, None))


def limits(url: str, run: int, cost: int = 1) -> Racer:
    """Two keys together, the second of which has room for all."""

    def start() -> Callable[[], bool]:
        store = RedisStore(url)
        asks = [
            Ask(f"search:u{run}", (Window(LIMIT, 60), Window(10 * LIMIT, 3600)), cost),
            Ask("global:all", (Window(6_000_000, 60),), cost),
        ]
        return lambda: store.decide(asks, hit=True, minute=0).allowed

    return start


def race(racer: Racer) -> int:
    """How many requests of all processes were allowed."""
    allowed = _context.Value("i", 0)
    barrier = _context.Barrier(PROCESSES)
    racers = [
        _context.Process(target=_run, args=(racer, barrier, allowed)) for _ in range(PROCESSES)
    ]
    for process in racers:
        process.start()
    for process in racers:
        process.join(60)
        assert process.exitcode == 0
    return int(allowed.value)


def _run(racer: Racer, barrier: Any, allowed: Any) -> None:
    ask = racer()
    barrier.wait(30)
    passed = sum([ask() for _ in range(REQUESTS)])
    with allowed.get_lock():
        allowed.value += passed
