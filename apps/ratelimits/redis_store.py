"""The limits of all processes: counted in Redis, one script call for each decision.

Redis is one server (or a primary with replicas), not a cluster: the keys of a call lie anywhere. It
must evict nothing (`noeviction`): a log that is gone is a new budget.
"""

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from apps.ratelimits.ledger import Answer, Ask, Source, Verdict, meters_of
from apps.ratelimits.log import Use
from apps.ratelimits.windows import Window

PREFIX = "docmill:limits:"
"""Begins every key of the limits in Redis."""
STAMP = f"{PREFIX}stamp"
"""The number of the rules' last change."""
STAMP_SECONDS = 86_400
"""When it is gone, whoever misses it puts there what it knows."""
REFUSED = f"{PREFIX}refused"
"""The keys that were refused last, by when there is room for them again."""
PROBE = f"{PREFIX}probe"
TIMEOUT_SECONDS = 0.1
"""For a connection, and for an answer. The first request that finds Redis away waits so long."""
SCRIPTS = Path(__file__).parent / "scripts"


class Late(NamedTuple):
    """What is added to the statistics of a minute (Unix time / 60) after it."""

    minute: int
    field: str
    number: int


class Script:
    """A script and its digest, by which Redis knows it once it has seen it."""

    def __init__(self, name: str) -> None:
        self.text = (SCRIPTS / name).read_text(encoding="utf-8")
        # It is what Redis names scripts by; nothing rests on its strength.
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def statistics_key(minute: int) -> str:
    """Where the decisions of a minute (Unix time / 60) are counted: a hash of `limiter:outcome`."""
    return f"{PREFIX}statistics:{minute}"


class RedisStore:
    """Decides in Redis, by its clock. Raises RedisError or OSError when it cannot be asked."""

    def __init__(self, url: str) -> None:
        # Without retries: the breaker decides what happens next. Redis-py's own take seconds.
        self.client: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._decide = Script("decide.lua")
        self._refund = Script("refund.lua")

    def decide(
        self, asks: Sequence[Ask], *, hit: bool, minute: int, late: Iterable[Late] = ()
    ) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room.

        `minute` is the one (Unix time / 60) in whose statistics it goes; `late` goes along.
        """
        keys: list[str] = []
        arguments: list[Any] = ["1" if hit else "0", len(asks)]
        for ask in asks:
            suffixes, shape = _shape(ask.windows)
            keys += [f"{PREFIX}{ask.key}{suffix}" for suffix in suffixes]
            arguments += (ask.tally, ask.cost, "1" if ask.shadow else "0", *shape)
        keys += (REFUSED, statistics_key(minute), STAMP)
        for each in late:
            arguments += (statistics_key(each.minute), each.field, each.number)
        return _answer(self._run(self._decide, keys, arguments), asks)

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None:
        """Takes back what a decision at `at_ms` counted for `asks`."""
        meters = [(ask, meter) for ask in asks for meter in meters_of(ask.windows)]
        keys = [f"{PREFIX}{ask.key}{meter.suffix}" for ask, meter in meters]
        arguments = [number for ask, meter in meters for number in (meter.width, ask.cost)]
        self._run(self._refund, keys, [at_ms, *arguments])

    def forget(self, keys: Sequence[str]) -> None:
        """The counts of these keys begin anew."""
        names = [PREFIX + key for key in keys]
        with self.client.pipeline(transaction=False) as pipe:
            pipe.unlink(*names)
            pipe.zrem(REFUSED, *names)
            pipe.execute()

    def refused(self, most: int) -> list[tuple[str, float]]:
        """Up to `most` keys that have no room now, and when they have (Unix seconds)."""
        now = time.time() * 1000
        found: Any = self.client.zrange(
            REFUSED, "+inf", now, desc=True, byscore=True, offset=0, num=most, withscores=True
        )
        return [(key.decode().removeprefix(PREFIX), until / 1000) for key, until in found]

    def statistics(self, minutes: Sequence[int]) -> list[dict[str, int]]:
        """Of each of `minutes` (Unix time / 60): `limiter:outcome` -> how often."""
        with self.client.pipeline(transaction=False) as pipe:
            for minute in minutes:
                pipe.hgetall(statistics_key(minute))
            counted = pipe.execute()
        return [{name.decode(): int(n) for name, n in each.items()} for each in counted]

    def stamp(self, *, or_else: str) -> str:
        """The number of the rules' last change; `or_else` from now on where there is none."""
        found = self.client.get(STAMP)
        if found is None:
            self.client.set(STAMP, or_else, nx=True, ex=STAMP_SECONDS)
            found = self.client.get(STAMP)
        return found.decode() if isinstance(found, bytes) else or_else

    def restamp(self, stamp: str) -> None:
        """The rules have changed."""
        self.client.set(STAMP, stamp, ex=STAMP_SECONDS)

    def probe(self) -> None:
        """Raises unless Redis takes a write: one that is full or read-only answers a ping too."""
        self.client.set(PROBE, "1", px=1000)

    def disconnect(self) -> None:
        """Leaves no connection on which a late answer could come."""
        self.client.connection_pool.disconnect()

    def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        call = (len(keys), *keys, *arguments)
        try:
            return self.client.execute_command("EVALSHA", script.digest, *call)
        except NoScriptError:
            return self.client.execute_command("EVAL", script.text, *call)


@lru_cache(maxsize=1024)
def _shape(windows: tuple[Window, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The suffixes of the keys, and the arguments that tell of the windows."""
    meters = meters_of(windows)
    numbers = [len(meters)]
    for meter in meters:
        numbers += (meter.width, len(meter.windows))
        for window in meter.windows:
            numbers += (window.limit, window.milliseconds)
    return tuple(meter.suffix for meter in meters), tuple(numbers)


def _answer(reply: bytes, asks: Sequence[Ask]) -> Answer:
    allowed, now, stamp, *rest = reply.split()
    numbers = iter([int(each) for each in rest])
    verdicts = []
    for ask in asks:
        wait = next(numbers)
        uses = tuple([Use(next(numbers), next(numbers)) for _ in ask.windows])
        verdicts.append(Verdict(uses, wait))
    told = "" if stamp == b"-" else stamp.decode()
    return Answer(allowed == b"1", int(now), tuple(verdicts), told, Source.REDIS)
