"""How much passes that should not: when many ask at once, and where one window meets the next."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from benchmarks.ratelimits.peers import Peer, peers
from benchmarks.stage import Stage
from benchmarks.table import Row, Table

RACES, QUICK_RACES = 3, 1
BURST = 40
SECONDS, QUICK_SECONDS = 2, 1
PHASES, QUICK_PHASES = (0.2, 0.45, 0.7, 0.95), (0.95,)
"""In parts of a window: when the burst comes. Windows begin with the first hit, or by the clock, or
half a window beside it."""
STEP_SECONDS = 0.02
Moment = tuple[float, float]
"""Before and after a request that passed."""


def measure_race(stage: Stage, table: Table) -> None:
    from django.conf import settings
    from django.core.cache import cache

    from apps.ratelimits.windows import Window
    from tests.ratelimits.racing import LIMIT, PROCESSES, REQUESTS, race

    def racer(peer: Peer, run: int) -> Callable[[], Callable[[], bool]]:
        def start() -> Callable[[], bool]:
            cache.close()
            # An hour: one that begins by the clock hardly ends within the race.
            return partial(peer.start(settings.REDIS_URL, [Window(LIMIT, 3600)]), f"race{run}")

        return start

    for peer in peers():
        runs = range(stage.size(RACES, QUICK_RACES))
        passed = [race(racer(peer, run)) for run in runs]
        table.add(
            admitted(
                f"{peer.name}: passed, {PROCESSES} processes with {REQUESTS} requests each at once",
                passed,
                LIMIT,
                peer,
            )
        )


def measure_boundary(stage: Stage, table: Table) -> None:
    """All at the same time, for most of it is waiting."""
    names = [peer.name for peer in peers()]
    seconds = stage.size(SECONDS, QUICK_SECONDS)
    phases = QUICK_PHASES if stage.quick else PHASES
    with multiprocessing.get_context("fork").Pool(len(names)) as pool:
        most = pool.starmap(worst, [(name, seconds, phases) for name in names], chunksize=1)
    for peer, passed in zip(peers(), most, strict=True):
        what = f"{peer.name}: passed in some {seconds} s, a burst before a window's end"
        table.add(admitted(what, [passed], BURST, peer))


def admitted(what: str, passed: Sequence[int], limit: int, peer: Peer) -> Row:
    """Of several runs the median, and the least and most."""
    found = f"{median(passed):.0f}"
    if len(passed) > 1:
        found += f" ({min(passed)} to {max(passed)})"
    is_ours = peer.name == "Docmill"
    return Row(
        what,
        found,
        f"the limit: {limit}",
        median(passed) / limit,
        None,
        "<= 1" if is_ours else "",
        max(passed) <= limit if is_ours else None,
    )


def worst(name: str, seconds: int, phases: Sequence[float]) -> int:
    """The most that passed in any `seconds`, of a burst at each of `phases`."""
    from django.conf import settings

    from apps.ratelimits.windows import Window

    [peer] = [peer for peer in peers() if peer.name == name]
    ask = peer.start(settings.REDIS_URL, [Window(BURST, seconds)])
    attacks = [attack(partial(ask, f"edge{phase}"), seconds, phase) for phase in phases]
    # To the millisecond, which is as exactly as times are kept.
    return max([most_within(moments, seconds - 0.001) for moments in attacks])


def attack(ask: Callable[[], bool], seconds: int, phase: float) -> list[Moment]:
    """One request where a second begins, as many as the limit at `phase`, and then steadily, for
    more than a window. When those were made that passed."""
    begin = (time.time() // seconds + 1) * seconds
    burst = begin + phase * seconds
    plan = [begin, *[burst] * BURST]
    while plan[-1] < burst + 1.2 * seconds:
        plan.append(plan[-1] + STEP_SECONDS)
    moments = []
    for moment in plan:
        time.sleep(max(0.0, moment - time.time()))  # the attack keeps to its plan by the clock
        before = time.time()
        if ask():
            moments.append((before, time.time()))
    return moments


def most_within(moments: Sequence[Moment], seconds: float) -> int:
    """How many of `moments` at the most surely lie within `seconds`: the first began and the last
    ended in them."""
    most = first = 0
    for last, (_, ended) in enumerate(moments):
        while ended - moments[first][0] > seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
