"""A process with secrets that reads a hostile document: prints what came of it as JSON.

Run as root and as an ordinary user by `test_escape`. Not under the tests' own child: the real one.
"""

import json
import os
import tempfile
from pathlib import Path

from apps.processors.host import Budget, ProcessorHost
from apps.processors.protocol import Options

HOSTILE = "tests.processors.hostile.HostileProcessor"
SECRET = "hunter2"
BUDGET = Budget(seconds=30, silence_seconds=30, memory_bytes=1024**3)


def facts(file: Path) -> tuple[int, ...]:
    status = file.stat()
    return status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns


def attack(folder: Path) -> dict[str, object]:
    database = folder / "docmill.sqlite3"
    database.write_text(SECRET)
    database.chmod(0o600)
    before = facts(database)
    other, host = ProcessorHost(), ProcessorHost([HOSTILE])
    try:
        other.start(BUDGET.memory_bytes)
        isolation = host.start(BUDGET.memory_bytes)
        assert other._child
        source = folder / "order.txt"
        goal = {
            "folder": str(folder),
            "database": str(database),
            "others room": str(other._child.room.path),
            "project": str(Path(__file__).parents[2]),
        }
        source.write_text(json.dumps(goal))
        outcome = host.run(
            processor=HOSTILE,
            source=source,
            name="order.txt",
            kind="txt",
            options=Options(),
            owner="a",
            budget=BUDGET,
            on_progress=lambda done, total, note: None,
            should_stop=lambda: False,
        )
        return {
            "uid": os.getuid(),
            "told": json.loads(outcome.extraction.text),
            "weaknesses": isolation.weaknesses,
            "unharmed": database.read_text() == SECRET and facts(database) == before,
            "left": sorted(path.name for path in folder.iterdir()),
            "in the others room": len(list(other._child.room.path.iterdir())),
        }
    finally:
        other.close()
        host.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as private:
        print(json.dumps(attack(Path(private))))  # noqa: T201
