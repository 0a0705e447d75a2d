"""What a value costs that is there, beside a bare GET of it."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.cache.peers import CASHEWS_ALONE, peers
from benchmarks.rounds import calls_of, in_turn, passed, worked
from benchmarks.stage import Stage
from benchmarks.table import Table

ROUNDS, QUICK_ROUNDS = 100, 3
CALLS = 50
SECONDS = 600
AIM = 1.35
BARE = "GET and json.loads"
VALUE = {f"field-{number:02d}": "a few words of it, " * 2 for number in range(24)}
"""1.3 kB of JSON."""


def measure(stage: Stage, table: Table) -> None:
    works = {BARE: bare()}
    for peer in peers(CASHEWS_ALONE):
        works[peer.name] = peer.keep(lambda _: VALUE, SECONDS)
    rounds = stage.size(ROUNDS, QUICK_ROUNDS)
    blocks = in_turn(works, client(), rounds, CALLS, before=lambda name, key: works[name](key))
    base = blocks.pop(BARE)
    for name, mine in blocks.items():
        aim = AIM if name == "Docmill" else None
        told = (calls_of(mine), calls_of(base))
        table.compare(f"{name}, a hit: time", passed(mine), BARE, passed(base), aim, told=told)
        table.compare(f"{name}, a hit: processors", worked(mine), BARE, worked(base), aim)


def client() -> Any:
    import redis
    from django.conf import settings

    return redis.Redis.from_url(settings.REDIS_URL)


def bare() -> Callable[[str], Any]:
    """The client as it comes, and what it takes to read the value."""
    server = client()
    server.set("bare", json.dumps(VALUE))
    return lambda _: json.loads(server.get("bare"))
