"""The stores, each with a clock that a test can move.

Redis keeps its own clock, and the script that is tested is the one that runs: what is moved is what
it has stored. Times are kept relative to one base per key, so that a base which is earlier by an
hour is the same as a clock that is later by one. The answer tells at which moment it was made.
"""

from collections.abc import Sequence
from typing import Protocol

from apps.ratelimits.ledger import Answer, Ask, keys_of
from apps.ratelimits.memory_store import MemoryStore
from apps.ratelimits.redis_store import PREFIX, RedisStore
from apps.ratelimits.sql_store import SqlStore

START = 1_800_000_000_000
SHIFT = """
for _, key in ipairs(KEYS) do
  local kept = redis.call('GET', key)
  if kept then
    redis.call('SETRANGE', key, 0, struct.pack('>I6', struct.unpack('>I6', kept) - ARGV[1]))
  end
end
"""


class Bench(Protocol):
    """A store on a clock in milliseconds, which stands still or goes on by itself."""

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer: ...

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None: ...

    def advance(self, milliseconds: int) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.now = START
        self.store: MemoryStore | SqlStore = MemoryStore(lambda: self.now)

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        return self.store.decide(asks, hit=hit)

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None:
        self.store.refund(asks, at_ms)

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


class SqlBench(MemoryBench):
    def __init__(self) -> None:
        super().__init__()
        self.store = SqlStore(lambda: self.now)


class RedisBench:
    def __init__(self, url: str) -> None:
        self.store = RedisStore(url)
        self.ahead = 0
        self.keys: set[str] = set()
        self._shift = self.store.client.register_script(SHIFT)

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        self.keys |= {PREFIX + key for ask in asks for key in keys_of(ask.key, ask.windows)}
        answer = self.store.decide(asks, hit=hit, minute=0)
        return answer._replace(now_ms=answer.now_ms + self.ahead)

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None:
        self.store.refund(asks, at_ms - self.ahead)

    def advance(self, milliseconds: int) -> None:
        self._shift(keys=list(self.keys), args=[milliseconds])
        self.ahead += milliseconds
