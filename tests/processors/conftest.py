from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.processors.host import Budget, Outcome, ProcessorHost
from apps.processors.protocol import Options

FAULTY = "tests.processors.faulty.FaultyProcessor"
BUDGET = Budget(seconds=60, silence_seconds=30, memory_bytes=1024**3)

Do = Callable[..., Outcome]


@pytest.fixture
def host() -> Iterator[ProcessorHost]:
    host = ProcessorHost()
    yield host
    host.close()


@pytest.fixture
def do(host: ProcessorHost, tmp_path: Path) -> Do:
    """Runs the faulty processor: `do("echo hello", owner="b", budget=...)`."""

    def run(order: str, **changed: Any) -> Outcome:
        source = tmp_path / "order.txt"
        source.write_text(order)
        given = {
            "processor": FAULTY,
            "source": source,
            "name": "order.txt",
            "kind": "txt",
            "options": Options(),
            "owner": "a",
            "budget": BUDGET,
            "on_progress": lambda done, total, note: None,
            "should_stop": lambda: False,
        }
        return host.run(**{**given, **changed})

    return run
