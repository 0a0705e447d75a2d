"""How long a claim takes where very much waits and very much has ended."""

import multiprocessing
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from itertools import chain

from benchmarks.stage import Stage

PROCESSES = 4
CLAIMS, QUICK_CLAIMS = 1000, 100
MAX_SECONDS = 60
"""Then they are enough, however few."""
CAP = 20
"""The lane's: more than there are processes, or they would wait for each other."""
BASELINE = "one UPDATE of a row by its key, committed"


def measure(stage: Stage) -> None:
    """Adds the claims of one process and of several at once."""
    from django.conf import settings
    from django.db import connection

    from benchmarks.queueing import volume

    print(f"filled in {volume.build(stage):.0f} s", file=sys.stderr)
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": CAP}
    count = stage.size(CLAIMS, QUICK_CLAIMS)
    connection.close()
    for processes in (1, PROCESSES):
        context = multiprocessing.get_context("fork")
        with context.Pool(processes) as pool:
            tasks = [count // processes] * processes
            bare = sorted(chain(*pool.map(updates, tasks, chunksize=1)))
            claims = sorted(chain(*pool.map(claims_and_settles, tasks, chunksize=1)))
        told = "one process" if processes == 1 else f"{processes} processes at once"
        stage.tell(
            f"claim ({len(claims)}), {told}: p50, p95, max",
            f"{spread(claims)} ms",
            f"{BASELINE}: {spread(bare)} ms",
            statistics.median(claims) / statistics.median(bare),
            "p95 <= 5 ms",
        )


def spread(spent: list[float]) -> str:
    """Median, 95th percentile and maximum of milliseconds in order."""
    p95 = spent[min(round(0.95 * len(spent)), len(spent) - 1)]
    return f"{statistics.median(spent):.1f}, {p95:.1f}, {spent[-1]:.1f}"


def claims_and_settles(count: int) -> list[float]:
    """Claims and ends up to so many files; the milliseconds of each claim."""
    from apps.queue.claim import claim
    from apps.queue.handlers import Output
    from apps.queue.settle import succeed
    from benchmarks.queueing.handlers import NoOp

    me, spent = uuid.uuid4(), []
    until = time.monotonic() + MAX_SECONDS
    while len(spent) < count and time.monotonic() < until:
        started = time.perf_counter()
        found = claim("default", me)
        spent.append((time.perf_counter() - started) * 1000)
        assert found is not None
        assert succeed(NoOp, found[1], Output(None))
    return spent


def updates(count: int) -> list[float]:
    """The milliseconds of the plainest write there is, on a row that is this process's own."""
    from apps.jobs.models import BatchJob

    jobs = list(BatchJob.objects.values_list("pk", flat=True)[:100])
    pk = jobs[os.getpid() % len(jobs)]
    return [timed(lambda: BatchJob.objects.filter(pk=pk).update(revision=2)) for _ in range(count)]


def timed(work: Callable[[], object]) -> float:
    """How many milliseconds it takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
