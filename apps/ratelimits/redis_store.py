"""The limits of all processes: counted in Redis, one script call for each decision.

Redis is one server (or a primary with replicas), not a cluster: the keys of a call lie anywhere. It
must evict nothing (`noeviction`): a log that is gone is a new budget.
"""

import struct
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import NoScriptError

from apps.core.breaker import impatient
from apps.core.tally import Late
from apps.core.wire import QuickPool, connection_of, send
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
SCRIPTS = Path(__file__).parent / "scripts"


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
        self.client = redis.Redis(connection_pool=QuickPool.from_url(url, **impatient()))
        self._decide = Script("decide.lua")
        self._refund = Script("refund.lua")

    def decide(
        self, asks: Sequence[Ask], *, hit: bool, minute: int, late: Iterable[Late] = ()
    ) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room.

        `minute` is the one (Unix time / 60) in whose statistics it goes; `late` goes along.
        """
        keys = []
        arguments: list[str | bytes | int] = [b"1" if hit else b"0", len(asks)]
        for ask in asks:
            suffixes, packed = _packed(ask.windows, ask.cost, ask.shadow, ask.tally)
            keys += [f"{PREFIX}{ask.key}{suffix}" for suffix in suffixes]
            arguments.append(packed)
        keys += (statistics_key(minute), STAMP)
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

    def eviction(self) -> str:
        """By which policy it throws keys away when it is full; "" when it throws none away."""
        memory: Any = self.client.info("memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        return "" if policy == "noeviction" or not memory.get("maxmemory") else policy

    def probe(self) -> None:
        """Raises unless Redis takes a write: one that is full or read-only answers a ping too."""
        self.client.set(PROBE, "1", px=1000)

    def disconnect(self) -> None:
        """Leaves no idle connection on which a late answer could come; those that other threads are
        at fail by themselves."""
        self.client.connection_pool.disconnect(inuse_connections=False)

    def _run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> Any:
        """The script's answer. Sent by digest, which Redis knows unless it forgot its scripts."""
        rest = (len(keys), *keys, *arguments)
        with connection_of(self.client) as connection:
            try:
                return send(connection, "EVALSHA", script.digest, *rest)
            except NoScriptError:
                return send(connection, "EVAL", script.text, *rest)


@lru_cache(maxsize=4096)
def _packed(
    windows: tuple[Window, ...], cost: int, shadow: bool, tally: str
) -> tuple[tuple[str, ...], bytes]:
    """The suffixes of the keys, and the rest of an ask as `decide.lua` reads it."""
    meters = meters_of(windows)
    packed = struct.pack(">IBB", cost, shadow, len(meters)) + tally.encode() + b"\0"
    for meter in meters:
        packed += struct.pack(">IB", meter.width, len(meter.windows))
        for window in meter.windows:
            packed += struct.pack(">II", window.limit, window.milliseconds)
    return tuple(meter.suffix for meter in meters), packed


@lru_cache(maxsize=256)
def _reader(size: int) -> struct.Struct:
    return struct.Struct(f">BQ{size}I")


def _answer(reply: bytes, asks: Sequence[Ask]) -> Answer:
    reader = _reader(sum([1 + 2 * len(ask.windows) for ask in asks]))
    allowed, now, *numbers = reader.unpack_from(reply)
    verdicts, at = [], 0
    for ask in asks:
        end = at + 1 + 2 * len(ask.windows)
        pairs = zip(numbers[at + 1 : end : 2], numbers[at + 2 : end : 2], strict=True)
        verdicts.append(Verdict(tuple([Use(*pair) for pair in pairs]), numbers[at]))
        at = end
    stamp = reply[reader.size :].decode()
    return Answer(allowed == 1, now, tuple(verdicts), stamp, Source.REDIS)
