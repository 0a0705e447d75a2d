"""The stores under test, and the limits that people meet."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.ratelimits.limiters import TABLE, setting_of
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


@pytest.fixture
def default_limits(settings: Settings) -> None:
    """Those of an installation where nobody set anything: the tests run with generous ones."""
    for name in TABLE:
        setattr(settings, setting_of(name), default_of(name))


def default_of(name: str) -> str:
    """Read where it stands, whatever the environment says."""
    source = (Path(__file__).parents[2] / "config/settings.py").read_text()
    found = re.search(rf'{setting_of(name)} = env\("\w+", default="([^"]+)"\)', source)
    assert found
    return found[1]
