"""Files that nothing is done with, through the whole state machine, beside tasks of bare Celery."""

import os
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.queueing import batches
from benchmarks.stage import Stage

SLOTS = 3
ROUNDS = 3
FILES, QUICK_FILES = 3000, 300
PATIENCE_SECONDS = 300


def measure(stage: Stage) -> None:
    """Adds files a second, and how that compares with each flavour of Celery."""
    from benchmarks.queueing import bare  # reads the settings: not before the stage is set

    count = stage.size(FILES, QUICK_FILES)
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):  # in turn: what disturbs the machine disturbs all of them
        rates.setdefault("", []).append(files_a_second(stage, count))
        for flavour in bare.FLAVOURS:
            rates.setdefault(flavour, []).append(tasks_a_second(stage, count, flavour))
    median = {name: statistics.median(each) for name, each in rates.items()}
    ours = median.pop("")
    aim = ">= 1.0" if stage.database == "sqlite" else ">= 0.5"
    for flavour, theirs in median.items():
        stage.tell(
            f"no-op files through the whole state machine ({count}, {SLOTS} slots)",
            f"{ours:.0f} files/s",
            f"{bare.FLAVOURS[flavour]}: {theirs:.0f} tasks/s",
            ours / theirs,
            aim if flavour == "docmill" else "",
        )


def files_a_second(stage: Stage, count: int) -> float:
    from django.db.models import Max, Min

    from apps.jobs.models import BatchFile, FileAttempt

    batches.submit_many(count, str)
    with stage.manage(
        *("work", "--lanes", "default", "--slots", str(SLOTS)),
        DJANGO_SETTINGS_MODULE="benchmarks.queueing.noop_settings",
        DEFAULT_CONCURRENCY=str(SLOTS),
    ) as worker:
        worker.wait_for(
            lambda: not BatchFile.objects.unfinished().exists(), seconds=PATIENCE_SECONDS
        )
    times = FileAttempt.objects.aggregate(first=Min("started_at"), last=Max("ended_at"))
    assert FileAttempt.objects.filter(outcome="succeeded").count() == count
    batches.clear()
    return count / float((times["last"] - times["first"]).total_seconds())


def tasks_a_second(stage: Stage, count: int, flavour: str) -> float:
    from benchmarks.queueing import bare

    app = bare.make(flavour)
    with app.connection_for_write() as connection:
        for _ in range(count):
            app.send_task(bare.TASK, queue=bare.QUEUE, connection=connection)
    times = stage.scratch / f"{time.monotonic_ns()}.times"
    env = {**os.environ, "BARE_CELERY": flavour, "BARE_TIMES": str(times)}
    del env["DJANGO_SETTINGS_MODULE"]
    with stage.program(
        *(sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.queueing.bare", "worker"),
        *("--queues", bare.QUEUE, "--concurrency", str(SLOTS), "--pool", "prefork"),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        env=env,
    ):
        wait(lambda: len(bare.read_times(times)) >= count)
    ran = bare.read_times(times)
    assert len(ran) == count, (flavour, len(ran))
    return (count - 1) / (max(ran) - min(ran))


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS} s")
        time.sleep(0.1)
