"""Where the measurements play: servers and a database of their own, and processes that end."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

from tests.processes import Process, launch
from tests.servers import Postgres, Valkey, scratch_directory


@dataclass
class Stage:
    """The running servers; `quick` asks for smaller numbers, to see that a benchmark works."""

    database: str
    quick: bool
    scratch: Path
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def size(self, whole: int, quick: int) -> int:
        return quick if self.quick else whole

    def log(self, name: str) -> Path:
        return self.scratch / f"{time.monotonic_ns()}-{name}.log"

    def tell(self, what: str, value: str, baseline: str, ratio: float, aim: str = "") -> None:
        """Adds a line to the table, and says it now: some of them take minutes."""
        self.rows.append((what, value, baseline, f"{ratio:.2f}", aim))
        print(f"{what}: {value}; {baseline}: {ratio:.2f}", file=sys.stderr, flush=True)

    @contextmanager
    def manage(self, *arguments: str, **env: str) -> Iterator[Process]:
        """A running `manage.py` command, ended with all that it started."""
        process = Process(*arguments, log=self.log(arguments[0]), env=env)
        try:
            yield process
        finally:
            process.close()

    @contextmanager
    def program(self, *arguments: str, env: Mapping[str, str]) -> Iterator[None]:
        """Any other program in a process group of its own."""
        process = launch(arguments, log=self.log("program"), env=env)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def stage(database: str, quick: bool) -> Iterator[Stage]:
    """Starts the servers, names them in the environment, and makes the tables."""
    scratch = scratch_directory()
    with ExitStack() as ending:
        ending.callback(rmtree, scratch)
        for name in ("data", "valkey", "postgres"):
            (scratch / name).mkdir(mode=0o700)
        valkey = Valkey(scratch / "valkey")
        ending.callback(valkey.close)
        valkey.start()
        url = f"sqlite:///{scratch / 'queue.sqlite3'}"
        if database == "postgres":
            postgres = Postgres(scratch / "postgres", durable=True)
            ending.callback(postgres.close)
            postgres.start()
            url = postgres.url.removesuffix("docmill") + "postgres"
        os.environ |= {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DOCMILL_DATA_DIR": str(scratch / "data"),
            "ENV_FILE": os.devnull,
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield Stage(database, quick, scratch)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
