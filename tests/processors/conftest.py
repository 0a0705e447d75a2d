import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

from apps.processors import spawn
from apps.processors.host import Budget, Outcome, ProcessorHost
from apps.processors.protocol import Options
from apps.processors.registry import processors

FAULTY = "tests.processors.faulty.FaultyProcessor"
BUDGET = Budget(seconds=60, silence_seconds=30, memory_bytes=1024**3)
START = "import sys; sys.path[:] = sys.argv[1:]; from tests.processors import strict_child; "

Do = Callable[..., Outcome]


@pytest.fixture(scope="session", autouse=True)
def _strict_children() -> Iterator[None]:
    """Children import nothing late, and are counted with the rest when lines are counted."""
    counter = coverage.Coverage.current()
    target = Path(counter.get_data().base_filename()) if counter else None
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o777)  # the child's user writes there
        coverage_file = str(Path(folder) / target.name) if target else ""
        patch.setattr(spawn, "START", f"{START}strict_child.main({coverage_file!r})")
        yield
        for counted in Path(folder).iterdir():
            if target:
                shutil.move(counted, target.parent / counted.name)


@pytest.fixture(scope="session")
def warm(_strict_children: None) -> Iterator[ProcessorHost]:
    """Shared by all tests that look at what comes of documents. Knows all processors from the
    start, so that it is never started again for one more."""
    host = ProcessorHost(processors())
    yield host
    host.close()


@pytest.fixture
def host() -> Iterator[ProcessorHost]:
    """For one test, which wants to see what becomes of the child."""
    host = ProcessorHost()
    yield host
    host.close()


@pytest.fixture
def do(host: ProcessorHost, tmp_path: Path) -> Do:
    """Runs the faulty processor: `do("echo hello", owner="b", budget=...)`."""

    def run(order: str, *, host: ProcessorHost = host, **changed: Any) -> Outcome:
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
