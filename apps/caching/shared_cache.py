"""The cache of all processes: django-redis, with values that are bytes already, connections that
wait no longer than anybody should, and a few things that Django's cache API has no words for.

Redis may evict here: a value that is gone is computed, a stamp that is gone is a miss.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from django_redis.cache import RedisCache
from django_redis.client import DefaultClient
from django_redis.pool import ConnectionFactory
from redis.exceptions import ResponseError

from apps.caching.envelope import HALF
from apps.caching.keys import NUMBERS
from apps.core.breaker import impatient
from apps.core.tally import Late
from apps.core.wire import ask

PREFIX = "docmill:cache:"
"""Begins every key of the cache in Redis."""
PROBE = "probe"
SCANNED_TOGETHER = 1000
NUMBERS_KEPT_SECONDS = 172_800

RELEASE = """if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0"""
# All that stands in it but the first half, and its time as if it were new.
SOFTEN = """for n, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok == 'string' then
    redis.call('SETRANGE', key, ARGV[1], ARGV[n + 2])
    redis.call('EXPIRE', key, ARGV[2])
  end
end"""


class RawClient(DefaultClient):
    """Stores bytes as they are. Django-redis' own way would look for a number in each of them."""

    def encode(self, value: bytes, **_: Any) -> bytes:
        return value

    def decode(self, value: bytes) -> bytes:
        return value

    def make_key(self, key: str, version: Any = None, prefix: Any = None) -> str:
        return PREFIX + key


class ImpatientFactory(ConnectionFactory):
    """Django-redis shares pools by address alone; those of other caches wait for longer."""

    _pools: dict[str, Any] = {}

    def get_connection_pool(self, params: dict[str, Any]) -> Any:
        return super().get_connection_pool(params | impatient())


class SharedCache(RedisCache):
    """As `MemoryCache`, for all processes. Raises one of `breaker.FAILURES` while Redis is away."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        own = {
            "CLIENT_CLASS": f"{__name__}.{RawClient.__name__}",
            "CONNECTION_FACTORY": f"{__name__}.{ImpatientFactory.__name__}",
            "CONNECTION_POOL_CLASS": "apps.core.wire.QuickPool",
        }
        super().__init__(server, params | {"OPTIONS": params.get("OPTIONS", {}) | own})

    @cached_property
    def _redis(self) -> Any:
        return self.client.get_client(write=True)

    def get_many(self, keys: Sequence[str], version: Any = None) -> dict[str, bytes]:
        found = ask(self._redis, "MGET", *[PREFIX + key for key in keys])
        return {key: value for key, value in zip(keys, found, strict=True) if value is not None}

    def clear(self) -> None:
        """Django-redis would empty the whole database, with whatever else is in it."""
        raise NotImplementedError("use apps.caching.services.clear")

    def release(self, key: str, token: bytes) -> None:
        self._redis.eval(RELEASE, 1, PREFIX + key, token)

    def replace(self, stamps: Mapping[str, bytes], timeout: float) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for key, stamp in stamps.items():
                pipe.set(PREFIX + key, stamp, ex=int(timeout), xx=True)
            pipe.execute()

    def soften(self, keys: Iterable[str], timeout: float) -> None:
        names = [PREFIX + key for key in keys]
        halves = [secrets.token_bytes(HALF) for _ in names]
        self._redis.eval(SOFTEN, len(names), *names, HALF, int(timeout), *halves)

    def names(self, prefix: str) -> Iterator[str]:
        for key in self._redis.scan_iter(match=f"{PREFIX}{prefix}*", count=SCANNED_TOGETHER):
            yield key.decode(errors="replace").removeprefix(PREFIX)

    def sizes(self, keys: Sequence[str]) -> list[int]:
        with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.strlen(PREFIX + key)
            return [size or 0 for size in _answers(pipe)]

    def count(self, late: Iterable[Late]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for each in late:
                pipe.hincrby(_numbers(each.minute), each.field, each.number)
                pipe.expire(_numbers(each.minute), NUMBERS_KEPT_SECONDS)
            _answers(pipe)

    def counted(self, minutes: Sequence[int]) -> list[dict[str, int]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for minute in minutes:
                pipe.hgetall(_numbers(minute))
            found = [each or {} for each in _answers(pipe)]
        return [
            {
                name.decode(errors="replace"): int(number)
                for name, number in each.items()
                if number.isdigit()
            }
            for each in found
        ]

    def probe(self) -> None:
        """Raises unless Redis takes a write: one that is full or read-only answers a ping too."""
        self._redis.set(PREFIX + PROBE, b"1", px=1000)

    def disconnect(self) -> None:
        """Leaves no idle connection on which a late answer could come."""
        self._redis.connection_pool.disconnect(inuse_connections=False)


def _answers(pipe: Any) -> list[Any]:
    """None where something that is not ours stands in the way: that is no reason to do without
    Redis, and telling it again would be none the better."""
    answers = pipe.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and type(answer) is not ResponseError:
            raise answer
    return [None if isinstance(answer, Exception) else answer for answer in answers]


def _numbers(minute: int) -> str:
    return f"{PREFIX}{NUMBERS}{minute}"
