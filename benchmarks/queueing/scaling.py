"""How many small files a second are read by one, two and four workers."""

import os
from contextlib import ExitStack

from benchmarks.queueing import batches
from benchmarks.stage import Stage

WORKERS = (1, 2, 4)
FILES, QUICK_FILES = 600, 100
PATIENCE_SECONDS = 600


def measure(stage: Stage) -> None:
    """Adds the files a second, each beside that of one worker."""
    count = stage.size(FILES, QUICK_FILES)
    alone = 0.0
    for number in WORKERS:
        rate = files_a_second(stage, count, number)
        alone = alone or rate
        stage.tell(
            f"small text files, read and stored ({count}), {number} worker(s) of one slot",
            f"{rate:.0f} files/s",
            f"one worker: {alone:.0f} files/s",
            rate / alone,
            f"on {os.cpu_count()} cores",
        )


def files_a_second(stage: Stage, count: int, workers: int) -> float:
    """From the first start to the last end."""
    from django.db.models import Max, Min

    from apps.jobs.models import BatchFile, BatchJob, FileAttempt
    from apps.queue.models import WorkerNode

    batches.submit_many(count, lambda number: f"Letter {number} from the harbour.\n" * 20)
    with ExitStack() as ending:
        for _ in range(workers):
            last = ending.enter_context(stage.manage("work", "--lanes", "default", "--slots", "1"))
        last.wait_for(lambda: not BatchFile.objects.unfinished().exists(), seconds=PATIENCE_SECONDS)
    assert FileAttempt.objects.filter(outcome="succeeded").count() == count
    times = FileAttempt.objects.aggregate(first=Min("started_at"), last=Max("ended_at"))
    BatchJob.objects.all().delete()
    WorkerNode.objects.all().delete()
    return count / float((times["last"] - times["first"]).total_seconds())
