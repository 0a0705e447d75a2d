"""What operators see of the cache, by kind: for the command and for the admin."""

from typing import NamedTuple

from apps.caching.kinds import kinds
from apps.caching.statistics import SAVED, Numbers, hit_rate

Sizes = dict[str, tuple[int, int]]


class KindRow(NamedTuple):
    """A kind: its times in seconds, what is stored of it now, and what was counted. `hit_rate` is
    the share of requests that did not wait, None where there were none; `saved_seconds` are those
    that computing what was found had taken."""

    kind: str
    ttl: int
    grace: int
    values: int
    bytes: int
    hit: int
    stale: int
    wait: int
    miss: int
    error: int
    hit_rate: float | None
    saved_seconds: float

    @property
    def percent(self) -> int | None:
        """Of `hit_rate`, whole and never rounded up."""
        return None if self.hit_rate is None else int(self.hit_rate * 100)


def rows_of(numbers: Numbers, sizes: Sizes) -> list[KindRow]:
    """The kinds in the order of the table."""
    rows = []
    for kind in kinds().values():
        counted, rate = numbers[kind.name], hit_rate(numbers[kind.name])
        rows.append(
            KindRow(
                kind.name,
                kind.ttl,
                kind.grace,
                *sizes.get(kind.name, (0, 0)),
                counted["hit"],
                counted["stale"],
                counted["wait"],
                counted["miss"],
                counted["error"],
                None if rate is None else round(rate, 4),
                round(counted[SAVED] / 1000, 1),
            )
        )
    return rows


def biggest_first(rows: list[KindRow]) -> list[KindRow]:
    """By bytes, then by how often they are asked for."""
    return sorted(rows, key=lambda row: (row.bytes, row.hit + row.miss), reverse=True)
