"""What it costs a small file to be read in a process of its own."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.queueing.claims import spread, timed
from benchmarks.stage import Stage

TIMES, QUICK_TIMES = 300, 30
PROCESSOR = "apps.processors.text.TextProcessor"
MEGABYTE = 1024 * 1024


def measure(stage: Stage) -> None:
    """Adds the time through the warm child, and what is left without that of the reading."""
    from apps.processors.host import ProcessorHost
    from apps.processors.text import TextProcessor

    times = stage.size(TIMES, QUICK_TIMES)
    path = stage.scratch / "small.txt"
    path.write_text("The harbour was surveyed in the morning, and the paper signed at noon.\n" * 20)
    host, reader = ProcessorHost([PROCESSOR]), TextProcessor()
    ways: list[Callable[[], object]] = [lambda: isolated(host, path), lambda: here(reader, path)]
    for way in ways:
        way()  # loads what it needs, and starts the child
    child, alone = zip(*[[timed(way) for way in ways] for _ in range(times)], strict=True)
    host.close()
    more = statistics.median(child) - statistics.median(alone)
    stage.tell(
        f"a file of {path.stat().st_size} bytes in the warm child, a new one every 50: "
        "p50, p95, max",
        f"{spread(sorted(child))} ms, {more:.1f} ms more",
        f"the same processor in this process: {spread(sorted(alone))} ms",
        statistics.median(child) / statistics.median(alone),
        "<= 60 ms more",
    )


def isolated(host: Any, path: Path) -> None:
    from apps.processors.host import Budget
    from apps.processors.protocol import Options

    host.run(
        processor=PROCESSOR,
        source=path,
        name=path.name,
        kind="txt",
        options=Options(),
        owner="a",
        budget=Budget(seconds=60, silence_seconds=60, memory_bytes=1536 * MEGABYTE),
        on_progress=nothing,
        should_stop=bool,  # False, always
    )


def here(reader: Any, path: Path) -> None:
    from apps.processors.protocol import Document, Options

    reader.run(Document(path=path, name=path.name, kind="txt", options=Options()), nothing)


def nothing(done: int, total: int, note: str, page: object = None) -> None:
    pass
