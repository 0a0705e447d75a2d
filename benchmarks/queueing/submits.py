"""How long it takes until 50 small files are safe."""

import os
import statistics
import time
from pathlib import Path

from benchmarks.queueing import batches
from benchmarks.queueing.claims import spread, timed
from benchmarks.stage import Stage

TIMES, QUICK_TIMES = 40, 5


def measure(stage: Stage) -> None:
    """Adds the submissions, beside bare files that are written and synced one after the other."""
    times = stage.size(TIMES, QUICK_TIMES)
    batches.owner()
    folder = stage.scratch / "written"
    folder.mkdir(exist_ok=True)
    batches.submit(contents())  # opens the connection
    bare, spent = [], []
    for _ in range(times):
        texts = contents()
        bare.append(timed(lambda: write(folder, texts)))  # noqa: B023  called at once
        spent.append(timed(lambda: batches.submit(texts)))  # noqa: B023
    bare.sort()
    spent.sort()
    stage.tell(
        f"submit {batches.BATCH} small files, from bytes to the answer: p50, p95, max",
        f"{spread(spent)} ms",
        f"writing and syncing {batches.BATCH} files: {spread(bare)} ms",
        statistics.median(spent) / statistics.median(bare),
        "<= 150 ms",
    )
    batches.clear()


def contents() -> list[str]:
    """Texts that nobody has submitted before."""
    return [f"file {number} of {time.time_ns()}" for number in range(batches.BATCH)]


def write(folder: Path, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        with (folder / str(number)).open("wb") as sink:
            sink.write(text.encode())
            sink.flush()
            os.fsync(sink.fileno())
