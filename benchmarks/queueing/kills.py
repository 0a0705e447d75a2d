"""How long it takes until a file is worked on again after its worker, or its reader, was killed."""

import os
import random
import signal
import statistics
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.queueing import batches
from benchmarks.stage import Stage
from tests.processes import Process, eventually

VICTIMS, QUICK_VICTIMS = 12, 2
PATIENCE_SECONDS = 120
SLOW = {"EXTRA_PROCESSORS": "tests.queue.slow.SlowProcessor", "DEFAULT_CONCURRENCY": "100"}
LONG = "600"
SPREAD_SECONDS = 10
"""Over which the kills are spread, so that they meet renewals and sweeps at any moment."""


def measure(stage: Stage) -> None:
    """Adds the killed workers, then the killed readers."""
    with ExitStack() as ending:
        ending.enter_context(stage.manage("beat", **SLOW))
        workers(stage, stage.size(VICTIMS, QUICK_VICTIMS))
        readers(stage, stage.size(VICTIMS, QUICK_VICTIMS))


def workers(stage: Stage, count: int) -> None:
    """Kills workers with all that they started, each with a file, while another one is idle."""
    from django.conf import settings

    chance = random.Random(1)
    with ExitStack() as ending:
        victims = [ending.enter_context(worker(stage, 1)) for _ in range(count)]
        for victim in victims:
            victim.wait_for(lambda: node_of(victim) is not None)  # noqa: B023  called at once
        batches.submit([LONG] * count)
        eventually(lambda: running() == count)
        rescuer = ending.enter_context(worker(stage, count))
        rescuer.wait_for(lambda: node_of(rescuer) is not None)
        time.sleep(settings.LEASE_RENEW_SECONDS)
        killed = {}
        for victim in victims:
            killed[node_of(victim)] = datetime.now(UTC)
            kill([victim.pid, *victim.descendants()])
            time.sleep(chance.uniform(0, 2 * SPREAD_SECONDS / count))
        eventually(lambda: len(restarts()) == count, seconds=PATIENCE_SECONDS)
        waits = [(again - killed[node]).total_seconds() for node, again in restarts()]
    tell(stage, "a worker, at the default lease", waits, settings.LEASE_SECONDS, "<= 32, <= 45 s")
    forget()


def readers(stage: Stage, count: int) -> None:
    """Kills the process that reads a file, one file after the other."""
    waits = []
    with worker(stage, 1) as only:
        only.wait_for(lambda: node_of(only) is not None)
        for _ in range(count):
            batches.submit([LONG])
            eventually(is_being_read)
            [reader] = readers_of(only)
            killed = datetime.now(UTC)
            kill([reader])
            [(_, again)] = eventually(restarts)
            waits.append((again - killed).total_seconds())
            eventually(is_being_read)
            kill(readers_of(only))  # the second time, that is the end of the file
            eventually(lambda: running() == 0)
            forget()
    tell(stage, "the process that reads", waits, 2.0, "<= 2 s")


def tell(stage: Stage, what: str, waits: list[float], aim_or_lease: float, aim: str) -> None:
    middle = statistics.median(waits)
    stage.tell(
        f"SIGKILL of {what}, to the next start of its file ({len(waits)} times): p50, max",
        f"{middle:.1f}, {max(waits):.1f} s",
        f"{aim_or_lease:g} s",
        middle / aim_or_lease,
        aim,
    )


def worker(stage: Stage, slots: int) -> Any:
    return stage.manage("work", "--lanes", "default", "--slots", str(slots), **SLOW)


def node_of(process: Process) -> Any:
    """The id of the worker, once it has a row."""
    from apps.queue.models import WorkerNode

    return WorkerNode.objects.filter(pid=process.pid).values_list("pk", flat=True).first()


def running() -> int:
    from apps.jobs.models import BatchFile

    return int(BatchFile.objects.running().count())


def is_being_read() -> bool:
    """Whether a reader has said how far it is: one that still starts dies another death."""
    from apps.jobs.models import BatchFile

    return bool(BatchFile.objects.running().filter(stage="waiting").exists())


def restarts() -> list[tuple[Any, datetime]]:
    """(who had it before, when it started again) of each file that did."""
    from apps.jobs.models import FileAttempt

    again = FileAttempt.objects.filter(number=2)
    firsts = dict(FileAttempt.objects.filter(number=1).values_list("row_id", "worker_id"))
    return [(firsts[row], at) for row, at in again.values_list("row_id", "started_at")]


def readers_of(process: Process) -> list[int]:
    """The processes that read documents for it: children of its slots, in sessions of their own."""
    found = []
    for slot in process.descendants():
        for tasks in Path(f"/proc/{slot}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(pid) for pid in tasks.read_text().split() if is_reader(pid)]
    return found


def is_reader(pid: str) -> bool:
    return b"apps.processors.child" in Path(f"/proc/{pid}/cmdline").read_bytes()


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def forget() -> None:
    from apps.jobs.models import BatchJob

    BatchJob.objects.all().delete()
