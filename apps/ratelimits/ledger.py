"""One decision over several keys and all their windows: every one has room, or nothing is counted.

Pure, and the twin of `scripts/decide.lua`: the store in process and that in SQL call it.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from apps.ratelimits.log import Log, Look, Use
from apps.ratelimits.slices import ABOVE, Slices, width_ms
from apps.ratelimits.windows import Window

State = Log | Slices


class Fallback(StrEnum):
    """Where a limiter counts while Redis is away."""

    MEMORY = "memory"  # of each process: requests pass, and the limit holds in each
    SQL = "sql"  # in the database: the same limit for all processes
    CLOSED = "closed"  # nowhere: everything is refused


class Ask(NamedTuple):
    """What is asked of a store: room for `cost` hits in all `windows` of `key`.

    `windows` are as `parse_windows` gives them. One that is `shadow` refuses nobody; what it would
    have done is in its verdict. `tally` names it in the statistics.
    """

    key: str
    windows: tuple[Window, ...]
    cost: int = 1
    shadow: bool = False
    tally: str = ""
    fallback: Fallback = Fallback.MEMORY


class Verdict(NamedTuple):
    """Of one ask: its windows after the decision, and in how many milliseconds there is room for
    it (0: there was). Where it asks for more than a whole window that never comes."""

    uses: tuple[Use, ...]
    wait_ms: int = 0


class Source(StrEnum):
    """Where a decision was made."""

    REDIS = "redis"
    MEMORY = "memory"
    SQL = "sql"
    NOWHERE = "nowhere"


class Answer(NamedTuple):
    """Of a store: one verdict for each ask, at `now_ms` (Unix milliseconds of the store's clock).

    `stamp` is the rules' version as last told to the store, "" where it knows none.
    """

    allowed: bool
    now_ms: int
    verdicts: tuple[Verdict, ...]
    stamp: str = ""
    source: Source = Source.MEMORY


class Meter(NamedTuple):
    """What is kept under one key: an exact log of all small windows, or slices of a large one."""

    suffix: str
    windows: tuple[Window, ...]
    width: int = 0

    def new(self) -> State:
        return Slices(self.width) if self.width else Log()

    def decode(self, encoded: bytes) -> State:
        return Slices.decode(encoded, self.width) if self.width else Log.decode(encoded)


@lru_cache(maxsize=1024)
def meters_of(windows: tuple[Window, ...]) -> tuple[Meter, ...]:
    """What counts these windows; in their order, for the larger limits are of the longer times."""
    small = tuple(window for window in windows if window.limit <= ABOVE)
    large = [window for window in windows if window.limit > ABOVE]
    exact = (Meter("", small),) if small else ()
    return exact + tuple(Meter(f":{each.seconds}", (each,), width_ms(each)) for each in large)


def keys_of(key: str, windows: tuple[Window, ...]) -> list[str]:
    """Every key under which a store keeps something of `key`."""
    return [key + meter.suffix for meter in meters_of(windows)]


def decide(
    asks: Sequence[Ask],
    now: int,
    *,
    hit: bool,
    load: Callable[[str, Meter], State],
    save: Callable[[str, Meter, State], None],
) -> Answer:
    """Decides all asks together at `now` and, if `hit` and all have room, counts them.

    `load` gives what is kept under a key, `save` keeps it after a change.
    """
    pages = [[_Page(ask, meter, now, load) for meter in meters_of(ask.windows)] for ask in asks]
    waits = [max((page.wait_ms for page in each), default=0) for each in pages]
    allowed = all(ask.shadow for ask, wait in zip(asks, waits, strict=True) if wait)
    verdicts = []
    for each, wait in zip(pages, waits, strict=True):
        recorded = hit and allowed and not wait
        uses = [use for page in each for use in page.close(now, recorded=recorded)]
        verdicts.append(Verdict(tuple(uses), wait))
        for page in each:
            if recorded or (hit and page.is_moved):
                save(page.key, page.meter, page.state)
    return Answer(allowed, now, tuple(verdicts))


class _Page:
    """One key of one ask, opened for a decision."""

    def __init__(
        self, ask: Ask, meter: Meter, now: int, load: Callable[[str, Meter], State]
    ) -> None:
        self.meter = meter
        self.key = ask.key + meter.suffix
        self.cost = ask.cost
        kept = load(self.key, meter)
        self.state = kept.settled(now)
        # Then it is written even when refused: else time would stand still until the clock has
        # caught up.
        self.is_moved = kept.is_ahead(now)
        self.looks: list[Look] = [self.state.look(now, each, ask.cost) for each in meter.windows]
        self.wait_ms = max(look.wait_ms for look in self.looks)

    def close(self, now: int, *, recorded: bool) -> list[Use]:
        """Counts what was asked for if it is `recorded`; the windows as they are then."""
        if recorded:
            self.state.add(now, self.cost, self.meter.windows)
        return [
            look.after(self.cost, recorded=recorded, alone_ms=self.state.alone_ms(now, window))
            for look, window in zip(self.looks, self.meter.windows, strict=True)
        ]
