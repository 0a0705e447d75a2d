"""What readers notice of a value whose time is over while all of them go on to read it."""

import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.cache.peers import CASHEWS_EARLY, DOGPILE_ASIDE, Peer, Work, peers
from benchmarks.stage import Stage
from benchmarks.table import Row, Table

RUNS, QUICK_RUNS = 3, 1
READERS = 8
PAUSE_SECONDS = 0.02
FRESH_SECONDS = 1
READ_SECONDS, QUICK_READ_SECONDS = 8, 2
COMPUTE_SECONDS = 0.15
AIM = 2


@dataclass
class Run:
    """How often the value was computed after the first time, and how long each request took."""

    computed: int = -1
    seconds: list[float] = field(default_factory=list)

    @property
    def waited(self) -> int:
        """Requests that took more than half as long as a computation."""
        return sum(each > COMPUTE_SECONDS / 2 for each in self.seconds)


def measure(stage: Stage, table: Table) -> None:
    """All at the same time, for most of it is waiting."""
    from django.test import override_settings

    seconds, runs = stage.size(READ_SECONDS, QUICK_READ_SECONDS), stage.size(RUNS, QUICK_RUNS)
    names = [peer.name for peer in all_of_them()]
    # Two ways of one library must not read the same value.
    given = [
        (name, f"hot-{run}-{at}", seconds) for run in range(runs) for at, name in enumerate(names)
    ]
    times = override_settings(CACHE_METRICS=f"{FRESH_SECONDS}s + 10s")
    with times, multiprocessing.get_context("fork").Pool(len(names)) as pool:
        found = pool.starmap(read, given, chunksize=1)
    for at, name in enumerate(names):
        tell(table, name, seconds, found[at :: len(names)])


def all_of_them() -> list[Peer]:
    return peers(DOGPILE_ASIDE, CASHEWS_EARLY)


def tell(table: Table, name: str, seconds: int, runs: Sequence[Run]) -> None:
    waited = [run.waited for run in runs]
    is_ours = name == "Docmill"
    what = f"fresh for {FRESH_SECONDS} s, read for {seconds} s by {READERS} threads"
    table.add(
        Row(
            f"{name}, {what}: requests that waited",
            f"{median(waited):.0f} ({min(waited)} to {max(waited)}) of "
            f"{median([len(run.seconds) for run in runs]):.0f}",
            f"computed {median([run.computed for run in runs]):.0f} times",
            median(waited),
            None,
            f"<= {AIM}" if is_ours else "",
            median(waited) <= AIM if is_ours else None,
        )
    )


def read(name: str, key: str, seconds: int) -> Run:
    """What readers found of `key`, who began when it was there."""
    [peer] = [peer for peer in all_of_them() if peer.name == name]
    run, lock = Run(), threading.Lock()

    def work(name: str) -> str:
        with lock:
            run.computed += 1
        time.sleep(COMPUTE_SECONDS)  # the computation
        return f"the value of {name}"

    kept = peer.keep(work, FRESH_SECONDS)
    kept(key)
    until = time.monotonic() + seconds
    readers = [threading.Thread(target=go_on, args=(kept, key, until, run)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return run


def go_on(kept: Work, key: str, until: float, run: Run) -> None:
    while time.monotonic() < until:
        began = time.perf_counter()
        kept(key)
        run.seconds.append(time.perf_counter() - began)
        time.sleep(PAUSE_SECONDS)  # readers do other things, too
