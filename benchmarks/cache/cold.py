"""What happens when many ask for a value at the same moment that nobody has yet."""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cache.peers import CASHEWS_LOCKED, Peer, peers
from benchmarks.stage import Stage
from benchmarks.table import Row, Table

RUNS, QUICK_RUNS = 5, 1
CROWDS = ((1, 50), (4, 12))
"""Processes, and threads in each."""
COMPUTE_SECONDS = 0.1
SECONDS = 600
AIM_WAIT = 1.6
LAST_SECONDS = 60

_context: Any = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Run:
    """How often the value was computed, and how long each waited for it, in computations."""

    computed: int
    waits: list[float]


@dataclass(frozen=True)
class Shared:
    """By all processes: how often the value was computed, their start, and what each was told."""

    computed: Any
    barrier: Any
    told: Any


def measure(stage: Stage, table: Table) -> None:
    for processes, threads in CROWDS:
        for peer in peers(CASHEWS_LOCKED):
            runs = [
                crowd(peer, f"cold-{processes}-{run}", processes, threads)
                for run in range(stage.size(RUNS, QUICK_RUNS))
            ]
            asked = f"{processes} x {threads}" if processes > 1 else f"{threads} threads"
            tell(table, peer, asked, runs)


def tell(table: Table, peer: Peer, asked: str, runs: Sequence[Run]) -> None:
    is_ours = peer.name == "Docmill"
    computed = [run.computed for run in runs]
    table.add(
        Row(
            f"{peer.name}, cold for {asked}: computed",
            f"{median(computed):.0f} ({min(computed)} to {max(computed)})",
            "once",
            median(computed),
            None,
            "1" if is_ours else "",
            max(computed) == 1 if is_ours else None,
        )
    )
    worst = [max(run.waits) for run in runs]
    usual = median([median(run.waits) for run in runs])
    table.add(
        Row(
            f"{peer.name}, cold for {asked}: the worst wait",
            f"{median(worst) * COMPUTE_SECONDS * 1000:.0f} ms, half of them "
            f"{usual * COMPUTE_SECONDS * 1000:.0f} ms",
            f"the computation: {COMPUTE_SECONDS * 1000:.0f} ms",
            median(worst),
            None,
            f"<= {AIM_WAIT}" if is_ours else "",
            median(worst) <= AIM_WAIT if is_ours else None,
        )
    )


def crowd(peer: Peer, key: str, processes: int, threads: int) -> Run:
    """All of them ask for `key`, each thread once. Processes are ready before they begin."""
    shared = Shared(_context.Value("i", 0), _context.Barrier(processes), _context.Queue())
    given = (peer, key, threads, shared)
    started = [_context.Process(target=ask, args=given) for _ in range(processes)]
    for process in started:
        process.start()
    waits = [shared.told.get(timeout=LAST_SECONDS) for _ in started]
    for process in started:
        process.join(LAST_SECONDS)
        assert process.exitcode == 0, (peer.name, process.exitcode)
    return Run(shared.computed.value, [wait / COMPUTE_SECONDS for each in waits for wait in each])


def ask(peer: Peer, key: str, threads: int, shared: Shared) -> None:
    """In a process of its own; connected, and with a value read before it matters."""
    from tests.caching.works import at_once

    def work(name: str) -> str:
        if name == key:
            with shared.computed.get_lock():
                shared.computed.value += 1
            time.sleep(COMPUTE_SECONDS)  # the computation
        return f"the value of {name}"

    kept = peer.keep(work, SECONDS)
    at_once(lambda: kept("warm"), threads)
    shared.barrier.wait(LAST_SECONDS)
    got, waits = at_once(lambda: kept(key), threads)
    assert got == [f"the value of {key}"] * threads, (peer.name, got)
    shared.told.put(waits)
