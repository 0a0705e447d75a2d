"""The stores under test."""

from collections.abc import Iterator

import pytest

from tests.ratelimits.benches import Bench, MemoryBench, RedisBench
from tests.servers import Valkey


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Bench]:
    """Each store in turn, empty."""
    if request.param == "memory":
        yield MemoryBench()
    else:
        redis = RedisBench(valkey.url)
        yield redis
        redis.store.client.close()
