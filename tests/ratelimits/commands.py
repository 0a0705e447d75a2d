"""What Redis was asked, by its own count."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from tests.servers import Valkey

LOOKING = {"info", "config|resetstat"}


@contextmanager
def commands_counted(valkey: Valkey) -> Iterator[Callable[[], dict[str, int]]]:
    """Gives the number of calls by command since the beginning of the block."""
    with redis.Redis.from_url(valkey.url) as client:
        client.config_resetstat()

        def counted() -> dict[str, int]:
            told = client.info("commandstats")
            calls = {name.removeprefix("cmdstat_"): int(s["calls"]) for name, s in told.items()}
            return {name: number for name, number in calls.items() if name not in LOOKING}

        yield counted
