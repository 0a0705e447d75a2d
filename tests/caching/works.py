"""Computations to be kept, which know how often they were done."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.caching.cache import cache
from apps.caching.decorators import FUNCTIONS, Cached

_serial = itertools.count()


@dataclass
class Work:
    """Gives `value`, or raises it, after `seconds`; counts how often."""

    value: Any = "computed"
    seconds: float = 0.0
    times: int = 0
    began: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, *_: Any) -> Any:
        with self.lock:
            self.times += 1
        self.began.set()
        value = self.value
        if self.go_on:
            assert self.go_on.wait(10)
        time.sleep(self.seconds)
        if isinstance(value, Exception):
            raise value
        return value

    def kept(
        self, kind: str = "text", *, tags: Any = ("thing:1",), tenant: str | None = None
    ) -> Cached[Any, Any]:
        """A function that is kept, unlike any other, of an argument."""

        def work(argument: Any = 1) -> Any:
            return self(argument)

        work.__qualname__ = f"work_{next(_serial)}"
        made: Cached[Any, Any] = Cached(work, kind=kind, tenant=tenant, tags=tags, version=1)
        del FUNCTIONS[made._name]
        return made


class Clock:
    """The time of the cache, in a test's hands."""

    def __init__(self) -> None:
        self.now = time.time()
        cache.clock = self

    def __call__(self) -> float:
        return self.now


def at_once(work: Callable[[], Any], count: int) -> tuple[list[Any], list[float]]:
    """What `count` threads get that call it at the same moment, and how long each waited."""
    barrier, got, waits = threading.Barrier(count), [], []

    def call() -> None:
        barrier.wait()
        began = time.perf_counter()
        value = work()
        waits.append(time.perf_counter() - began)
        got.append(value)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return got, waits
