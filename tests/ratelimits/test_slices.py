"""Large limits: never more than the limit, and at most a 63rd of the window too late."""

import random

import pytest

from apps.ratelimits.ledger import Ask
from apps.ratelimits.memory_store import MemoryStore
from apps.ratelimits.slices import SLICES, width_ms
from apps.ratelimits.windows import Window
from tests.ratelimits.benches import Bench, RedisBench
from tests.ratelimits.oracle import most_in_any
from tests.servers import Valkey

pytestmark = pytest.mark.once
LARGE = Window(6000, 60)
OPERATIONS = 1500


def jump(chooser: random.Random) -> int:
    return chooser.choice([0, 0, 1, 100, 953, 954, 5000, 60_000, 61_000, 3_600_000, -700, -20_000])


def test_never_more_than_the_limit_and_little_later_than_exact(bench: Bench) -> None:
    chooser = random.Random(random.randrange(1_000_000))
    ask = Ask("global:all", (LARGE,), cost=300)
    hits: list[int] = []
    late = SLICES * width_ms(LARGE) - LARGE.milliseconds
    refused = 0
    for _ in range(OPERATIONS):
        bench.advance(max(0, jump(chooser)) % 9000)
        answer = bench.decide([ask], hit=True)
        now, [verdict] = answer.now_ms, answer.verdicts
        earlier = [at for at in hits if at > now - LARGE.milliseconds - late]
        exact = [at for at in earlier if at > now - LARGE.milliseconds]
        used = verdict.uses[0].used - (300 if answer.allowed else 0)
        assert 300 * len(exact) <= used <= 300 * len(earlier)
        if answer.allowed:
            hits.append(now)
        else:
            refused += 1
            wanted = exact[0] + LARGE.milliseconds - now if len(exact) == 20 else 0
            assert wanted <= verdict.wait_ms <= wanted + late
    assert refused > 100
    assert most_in_any(hits, LARGE.seconds) * 300 == LARGE.limit


def test_told_waits_are_right_to_the_millisecond(bench: Bench) -> None:
    ask = Ask("global:all", (LARGE,), cost=2500)
    for _ in range(20):
        while (answer := bench.decide([ask], hit=True)).allowed:
            bench.advance(7000)
        bench.advance(answer.verdicts[0].wait_ms)
        assert bench.decide([ask], hit=False).allowed


def test_redis_and_process_count_alike(valkey: Valkey) -> None:
    """Any order of costs, times and refunds, small and large windows of the same key together."""
    chooser = random.Random(random.randrange(1_000_000))
    bench = RedisBench(valkey.url)
    now = 0
    twin = MemoryStore(lambda: now)
    windows = (Window(900, 5), LARGE, Window(20_000, 3600))
    for _ in range(OPERATIONS):
        bench.advance(jump(chooser))
        ask = Ask("global:all", windows, cost=chooser.choice([1, 50, 300, 899]))
        hit = chooser.random() < 0.9
        answer = bench.decide([ask], hit=hit)
        now = answer.now_ms
        assert twin.decide([ask], hit=hit).verdicts == answer.verdicts
        if hit and answer.allowed and chooser.random() < 0.1:
            bench.refund([ask], now)
            twin.refund([ask], now)
    bench.store.client.close()


@pytest.mark.parametrize("count", [1, 100_000])
def test_the_size_is_the_same_however_many_hits(valkey: Valkey, count: int) -> None:
    bench = RedisBench(valkey.url)
    bench.decide([Ask("global:all", (Window(1_000_000, 60),), cost=count)], hit=True)
    assert bench.store.client.memory_usage("docmill:limits:global:all:60") < 450
    bench.store.client.close()
