"""Every store decides as the oracle does, over any order of hits, looks, refunds and times."""

import random
from collections import Counter

import pytest

from apps.ratelimits import memory_store
from apps.ratelimits.ledger import Answer, Ask
from apps.ratelimits.windows import Window
from tests.ratelimits.benches import Bench, MemoryBench, SqlBench
from tests.ratelimits.oracle import Oracle, most_in_any

OPERATIONS = 20_000
DAY = 86400
# The times of the windows of each key; their limits change, as with rules.
SPANS = {
    "search:u1": [60],
    "search:u2": [1, 60, 3600],
    "api:u1": [20, 3600],
    "api:u2": [900],
    "share:u1": [5, 31 * DAY],
}


class Fuzz:
    """Random operations on a store and the oracle at once."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.oracle = Oracle()
        self.random = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.last: tuple[list[Ask], Answer] | None = None
        self.due: int | None = None
        self.asked: list[Ask] = []

    def step(self) -> None:
        chance = self.random.random()
        if chance < 0.05 and self.last:
            asks, answer = self.last
            self.last = None
            self.bench.refund(asks, answer.now_ms)
            self.oracle.refund(asks, answer.now_ms)
            self.seen["refund"] += 1
        elif chance < 0.4 and self.due is not None:
            # To the very moment that was told, or a millisecond before it, with the same asks.
            early = self.random.randrange(2)
            self.bench.advance(max(0, self.due - early))
            self.decide(self.asked, hit=False)
        else:
            if self.random.random() < 0.4:
                self.bench.advance(self.jump())
            self.decide(self.asks(), hit=self.random.random() < 0.85)

    def decide(self, asks: list[Ask], *, hit: bool) -> None:
        answer = self.bench.decide(asks, hit=hit)
        wanted = self.oracle.decide(asks, answer.now_ms, hit=hit)
        assert (answer.allowed, list(answer.verdicts)) == wanted, (asks, answer)
        waits = [each.wait_ms for each in answer.verdicts]
        self.seen["allowed" if answer.allowed else "refused"] += 1
        self.seen["a millisecond early"] += 1 in waits
        self.due = max(waits) or None
        self.asked = asks
        if hit and answer.allowed:
            counted = zip(asks, answer.verdicts, strict=True)
            self.last = ([ask for ask, each in counted if not each.wait_ms], answer)

    def asks(self) -> list[Ask]:
        keys = self.random.sample(list(SPANS), self.random.choice([1, 1, 1, 2, 3]))
        cost = self.random.choice([1, 1, 1, 1, 2, 3, 7])
        return [self.ask(key, cost) for key in keys]

    def ask(self, key: str, cost: int) -> Ask:
        first = self.random.choice([2, 3, 4, 8])
        windows = [Window(first * (3**i), span) for i, span in enumerate(SPANS[key])]
        return Ask(key, tuple(windows), cost, shadow=self.random.random() < 0.1)

    def jump(self) -> int:
        chance = self.random.random()
        if chance < 0.02:
            return self.random.randrange(40 * DAY * 1000)
        if chance < 0.05:
            return -self.random.randrange(20_000)
        return self.random.choice([0, 1, 7, 300, 1000, 4999, 5000, 20_000, 60_000])


@pytest.mark.once
def test_every_answer_is_that_of_the_oracle(bench: Bench) -> None:
    fuzz = Fuzz(bench, seed=random.randrange(1_000_000))  # which pytest-randomly repeats
    for _ in range(OPERATIONS):
        fuzz.step()
    # It went where it hurts.
    assert fuzz.seen["refund"] > 300
    assert fuzz.seen["allowed"] > 3000
    assert fuzz.seen["refused"] > 3000
    assert fuzz.seen["a millisecond early"] > 100


@pytest.mark.parametrize(("keys", "hits"), [(10, 1000), (1000, 50)])
def test_the_memory_of_a_process_is_bounded(
    monkeypatch: pytest.MonkeyPatch, keys: int, hits: int
) -> None:
    """Those asked for the longest ago are forgotten, one that is in use is not."""
    monkeypatch.setattr(memory_store, "MAX_KEYS", keys)
    monkeypatch.setattr(memory_store, "MAX_HITS", hits)
    bench = MemoryBench()
    mine = Ask("search:u0", (Window(2, 60),))
    assert bench.decide([mine], hit=True).allowed
    assert bench.decide([mine], hit=True).allowed
    for number in range(1, 100):
        bench.decide([Ask(f"search:u{number}", (Window(9, 60),), cost=5)], hit=True)
        assert not bench.decide([mine], hit=True).allowed
    assert len(bench.store) <= 10  # type: ignore[arg-type]  # of a memory store


def test_a_log_in_memory_does_not_grow() -> None:
    bench = MemoryBench()
    ask = Ask("search:u0", (Window(10, 60),))
    for _ in range(100):
        bench.decide([ask], hit=True)
        bench.advance(6000)
    kept = bench.store._kept["search:u0"]  # type: ignore[union-attr]
    assert kept[1] <= 10


@pytest.mark.django_db
def test_the_database_too() -> None:
    fuzz = Fuzz(SqlBench(), seed=1)
    for _ in range(300):
        fuzz.step()
    assert fuzz.seen["allowed"] > 50
    assert fuzz.seen["refused"] > 50


@pytest.mark.once
def test_over_a_boundary_no_window_holds_more_than_its_limit(bench: Bench) -> None:
    """A whole budget at the end of a minute, then as much as passes, steadily."""
    ask = Ask("search:u1", (Window(40, 60),))
    passed: list[int] = []
    bench.advance(59_000)
    for _ in range(200):
        answer = bench.decide([ask], hit=True)
        if answer.allowed:
            passed.append(answer.now_ms)
        bench.advance(0 if len(passed) < 40 else 500)
    assert len(passed) > 60
    assert most_in_any(passed, 60) == 40
