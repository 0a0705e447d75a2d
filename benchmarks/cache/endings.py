"""How long it takes to end ten thousand values among ten times as many."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.cache.hits import client
from benchmarks.cache.peers import ORGANIZATION, TAG, Cashews, Work, cacheops_as, docmill
from benchmarks.stage import Stage
from benchmarks.table import Row, Table, spread

RUNS, QUICK_RUNS = 3, 1
VALUES, QUICK_VALUES = 10_000, 500
OTHERS = 9
"""For each value that is ended so many stay."""
TOGETHER = 1000
SECONDS = 600
AIM = 0.01
BASE = "django-redis, delete_pattern"


@dataclass(frozen=True)
class Way:
    """`fill` puts values of all these names there; `end` ends them. `is_there` asks for one."""

    name: str
    fill: Callable[[Sequence[str]], object]
    end: Callable[[], object]
    is_there: Callable[[str], bool]


def measure(stage: Stage, table: Table) -> None:
    names = [f"ended-{number}" for number in range(stage.size(VALUES, QUICK_VALUES))]
    surround(len(names) * OTHERS)
    runs = range(stage.size(RUNS, QUICK_RUNS))
    found = {way.name: [taken(way, names) for _ in runs] for way in ways()}
    base = found.pop(BASE)
    for name, mine in found.items():
        ratio, is_ours = median(mine) / median(base), name.startswith("Docmill")
        table.add(
            Row(
                f"{name}: {len(names)} values ended of {len(names) * (OTHERS + 1)}",
                f"{spread(mine)} µs",
                f"{BASE}: {spread(base)} µs",
                ratio,
                None,
                f"<= {AIM}" if is_ours else "",
                ratio <= AIM if is_ours else None,
            )
        )


def surround(count: int) -> None:
    """Puts other keys there."""
    server = client()
    server.flushall()
    for first in range(0, count, TOGETHER):
        keys = range(first, min(first + TOGETHER, count))
        server.mset({f"other-{number}": b"x" * 100 for number in keys})


def taken(way: Way, names: Sequence[str]) -> float:
    """Microseconds. All values are there before, and none of a sample afterwards."""
    way.fill(names)
    sample = names[:: len(names) // 20]
    assert all(way.is_there(name) for name in sample), way.name
    began = time.perf_counter()
    way.end()
    took = (time.perf_counter() - began) * 1e6
    assert not any(way.is_there(name) for name in sample), way.name
    return took


class Counted:
    """Work that knows whether it was done for a name."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.kept: Work = lambda _: None

    def __call__(self, name: str) -> str:
        self.times[name] += 1
        return f"the value of {name}"

    def fill(self, names: Sequence[str]) -> None:
        for name in names:
            self.kept(name)

    def is_there(self, name: str) -> bool:
        before = self.times[name]
        self.kept(name)
        return self.times[name] == before


def pattern(name: str, size: int | None = None) -> Way:
    """`size` keys are looked at together; as it comes, ten."""
    from django.core.cache import cache

    shared: Any = cache
    options = {} if size is None else {"itersize": size}

    def fill(names: Sequence[str]) -> None:
        for first in range(0, len(names), TOGETHER):
            shared.set_many(dict.fromkeys(names[first : first + TOGETHER], "x" * 100), SECONDS)

    def end() -> None:
        shared.delete_pattern("ended-*", **options)

    return Way(name, fill, end, shared.has_key)


def by_tag() -> Way:
    from apps.caching.invalidation import invalidate

    work = Counted()
    work.kept = docmill(work, SECONDS)
    return Way("Docmill, a tag", work.fill, lambda: invalidate(TAG), work.is_there)


def by_row() -> Way:
    from apps.accounts.models import Organization

    work = Counted()
    work.kept = cacheops_as(work, SECONDS)
    from cacheops import invalidate_obj

    row = Organization(pk=ORGANIZATION)
    return Way("cacheops, invalidate_obj", work.fill, lambda: invalidate_obj(row), work.is_there)


def by_tags_of_cashews() -> Way:
    work = Counted()
    work.kept = kept = Cashews(work, SECONDS, how="plain", is_shared=False)
    return Way(
        "cashews, delete_tags",
        kept.ask_all,
        lambda: kept.run(kept.cache.delete_tags(TAG)),
        work.is_there,
    )


WAYS = (
    (partial(pattern, f"{BASE}, {TOGETHER} keys at a time", TOGETHER), "django"),
    (by_tag, "django"),
    (by_row, "cacheops"),
    (by_tags_of_cashews, "cashews"),
)


def ways() -> list[Way]:
    """Those that are installed."""
    return [pattern(BASE), *[make() for make, package in WAYS if find_spec(package)]]
