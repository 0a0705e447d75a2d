"""The limiters that are compared, each asked in the same way: may this key once more?

As little as they can: none is asked for what headers tell, which only `Docmill` gives along.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any

from apps.ratelimits.windows import Window

Question = Callable[[str], bool]


@dataclass(frozen=True)
class Peer:
    """`start` connects to the server of a URL and gives what asks for a key and counts it in all
    windows. `package` is what has to be installed."""

    name: str
    start: Callable[[str, Sequence[Window]], Question]
    package: str = "django"


def peers(more: Sequence[Peer] = ()) -> list[Peer]:
    """Those that are installed; Docmill first."""
    return [peer for peer in (*ALL, *more) if find_spec(peer.package)]


def docmill(url: str, windows: Sequence[Window]) -> Question:
    """All that decides in a process, without rules: those are in `benchmarks.ratelimits.calls`."""
    from apps.ratelimits.ledger import Ask
    from apps.ratelimits.redis_store import RedisStore
    from apps.ratelimits.stores import LimitStore

    store = LimitStore(RedisStore(url))
    held = tuple(windows)

    def ask(key: str) -> bool:
        return store.decide([Ask(f"search:{key}", held, tally="search")], hit=True).allowed

    return ask


def rest_framework(_url: str, windows: Sequence[Window]) -> Question:
    """A new object for each request and window, all of which are asked, as its views do."""
    from rest_framework.throttling import SimpleRateThrottle

    class Throttle(SimpleRateThrottle):
        def __init__(self, window: Window) -> None:
            self.rate = str(window)
            self.num_requests, self.duration = window

        def get_cache_key(self, request: Any, view: Any) -> str:
            return f"throttle_{self.duration}_{request}"

    def ask(key: str) -> bool:
        request: Any = key
        view: Any = None
        passed = [Throttle(window).allow_request(request, view) for window in windows]
        return all(passed)

    return ask


def django_ratelimit(_url: str, windows: Sequence[Window]) -> Question:
    from django.test import RequestFactory
    from django_ratelimit.core import is_ratelimited

    request = RequestFactory().get("/")

    def ask(key: str) -> bool:
        usual = {"group": "benchmark", "key": lambda *_: key, "increment": True}
        refused = [is_ratelimited(request, rate=tuple(window), **usual) for window in windows]
        return not any(refused)

    return ask


def limits(strategy: str, url: str, windows: Sequence[Window], *, told: bool = False) -> Question:
    """`told` asks for what is left, too, as its users do for headers."""
    from limits import RateLimitItemPerSecond, strategies
    from limits.storage import RedisStorage

    storage = RedisStorage(url.replace("unix://", "redis+unix://"))
    limiter = getattr(strategies, strategy)(storage)
    stem = f"{strategy}{told}"
    items = [RateLimitItemPerSecond(window.limit, window.seconds) for window in windows]

    def ask(key: str) -> bool:
        passed = [limiter.hit(item, stem, key) for item in items]
        if told:
            for item in items:
                limiter.get_window_stats(item, stem, key)
        return all(passed)

    return ask


def throttled(algorithm: str, url: str, windows: Sequence[Window]) -> Question:
    from throttled import Throttled, rate_limiter, store

    server = store.RedisStore(server=url)
    each = [
        Throttled(
            using=algorithm,
            quota=rate_limiter.per_duration(timedelta(seconds=seconds), limit),
            store=server,
        )
        for limit, seconds in windows
    ]
    pairs = list(zip(windows, each, strict=True))

    def ask(key: str) -> bool:
        answers = [throttle.limit(f"{key}:{window.seconds}") for window, throttle in pairs]
        return not any(answer.limited for answer in answers)

    return ask


MOVING = "MovingWindowRateLimiter"
ALL = (
    Peer("Docmill", docmill),
    Peer("Django REST framework", rest_framework),
    Peer("django-ratelimit", django_ratelimit),
    Peer("limits, moving window", partial(limits, MOVING), "limits"),
    Peer("limits, fixed window", partial(limits, "FixedWindowRateLimiter"), "limits"),
    Peer("throttled-py, GCRA", partial(throttled, "gcra"), "throttled"),
    Peer("throttled-py, sliding window", partial(throttled, "sliding_window"), "throttled"),
    Peer("throttled-py, token bucket", partial(throttled, "token_bucket"), "throttled"),
)
TOLD = Peer("limits, moving window and what is left", partial(limits, MOVING, told=True), "limits")
