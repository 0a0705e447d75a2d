"""Where a cell of the matrix is played: the processes, the point that one is held at, the jobs."""

import os
import signal
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from apps.accounts.models import Organization
from apps.jobs.models import BatchJob
from tests.batches import check_books, check_bytes, check_nothing_runs, submit
from tests.faults.ledger import check_ledger
from tests.faults.nursery import Nursery
from tests.faults.points import ARMED, GO, POINTS, REACHED
from tests.faults.proxy import Proxy
from tests.processes import MARK, Process, eventually, live_database_url
from tests.queue.test_processes import children_of, node_of
from tests.servers import Postgres, Valkey

WORK = ("work", "--lanes", "default,ocr,heavy")
LEASE_SECONDS = 2
SETTINGS = {
    "EXTRA_PROCESSORS": "tests.queue.slow.SlowProcessor",
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "LEASE_RENEW_SECONDS": "0.4",
    "SWEEP_SECONDS": "0.2",
    "RETRY_BASE_SECONDS": "0.3",
    "SHUTDOWN_GRACE_SECONDS": "2",
    "DEFAULT_CONCURRENCY": "3",
}


class Forked(Process):
    """A process of the service out of the nursery."""

    def __init__(
        self, nursery: Nursery, *arguments: str, log: Path, env: Mapping[str, str]
    ) -> None:
        self.arguments = arguments
        self.log = log
        self.mark = uuid.uuid4().hex
        self.seen: set[int] = set()
        popen = nursery.fork(*arguments, log=log, env={**os.environ, **env, MARK: self.mark})
        self._popen = popen  # type: ignore[assignment]  # as much of one as is used here

    def tree(self) -> list[int]:
        """All that descends from it now, parsing children too, which hide what marks others."""
        found, new = [], [self.pid]
        while new:
            new = [child for pid in new for child in children_of(pid)]
            found += new
        self.seen.update(found)
        return found

    def with_slots(self) -> list[int]:
        return [self.pid, *children_of(self.pid)]

    def kill_with_slots(self) -> None:
        for pid in self.with_slots():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait(5)


class Stage:
    """`folder` is where the held process and the test leave each other word."""

    def __init__(
        self,
        organization: Organization,
        *,
        nursery: Nursery,
        folder: Path,
        valkey: Valkey,
        postgres: Postgres | None,
    ) -> None:
        self.organization = organization
        self.valkey = valkey
        self.postgres = postgres
        self.proxy = Proxy(folder / "proxy.sock", valkey.socket)
        self.folder = folder
        self.processes: list[Forked] = []
        self.settings = dict(SETTINGS)
        self.point = ""
        self._nursery = nursery

    # --- processes ---

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Forked:
        log = self.folder / f"{len(self.processes)}-{arguments[0]}.log"
        if arguments[0] != "delete":
            arguments = (*arguments, "--skip-checks")
        values = {
            "DATABASE_URL": live_database_url(),
            "DOCMILL_DATA_DIR": str(self.folder / "data"),
        }
        own = {**values, **self.settings, **(env or {})}
        process = Forked(self._nursery, *arguments, log=log, env=own)
        self.processes.append(process)
        return process

    def start_struck(self, point: str, *arguments: str) -> None:
        """Starts the process that will be held at `point` once `arm` was called."""
        self.point = point
        self.struck = self.start(
            *arguments,
            env={
                "FAULT_POINT": point,
                "FAULT_FOLDER": str(self.folder),
                "REDIS_URL": f"unix://{self.proxy.path}",
            },
        )

    def start_worker(self, point: str) -> None:
        """The same for a Celery worker of two slots, each with a child that is warm."""
        self.start_struck(point, *WORK, "--slots", "2")
        self.struck.wait_for(lambda: node_of(self.struck))
        self.wait_until_closed(self.submit("0.5", "0.5"))

    def start_rescuer(self) -> None:
        """Another worker, which needs no broker and sweeps, too."""
        self.start(*WORK, "--loop", "--slots", "1")

    # --- the point ---

    @property
    def is_locked(self) -> bool:
        """Whether the held process stands in a transaction that others may have to wait for."""
        return POINTS[self.point].is_locked

    def arm(self) -> None:
        (self.folder / ARMED).touch()

    @property
    def reached(self) -> int:
        """The process that is held at the point, once one is."""
        mark = self.folder / REACHED
        self.struck.wait_for(mark.exists)
        self.struck.tree()
        return int(mark.read_text())

    def go(self) -> None:
        (self.folder / GO).touch()

    # --- jobs ---

    def submit(self, *seconds: str) -> BatchJob:
        """A job with a file for each of `seconds`, which is how long reading it takes."""
        return submit(self.organization, *seconds)

    def wait_until_closed(self, job: BatchJob, *, seconds: float = 30) -> None:
        try:
            eventually(lambda: is_closed(job), seconds=seconds)
        except BaseException as error:
            error.add_note(self._all_said())
            raise

    # --- the end ---

    def end(self) -> None:
        """Ends what runs as a service manager does, and sees that nothing of it is left."""
        self.go()
        for process in self.processes:
            process.tree()
        for process in self.processes:
            process.send(signal.SIGTERM)
        for process in self.processes:
            try:
                process._popen.wait(15)
            except subprocess.TimeoutExpired:
                self._fail(f"{process.arguments} does not end")
        eventually(lambda: not self._left(), seconds=5)

    def check(self, *, jobs: int) -> None:
        """What must hold after every cell, of `jobs` jobs that nobody asked to stop."""
        try:
            assert BatchJob.objects.count() == jobs
            assert {job.state for job in BatchJob.objects.all()} <= {"succeeded"}
            check_books()
            check_nothing_runs()
            check_ledger()
            check_bytes()
        except AssertionError as error:
            error.add_note(self._all_said())
            raise

    def close(self) -> None:
        for process in self.processes:
            process.close()
        for pid in self._left():
            os.kill(pid, signal.SIGKILL)
        self.proxy.close()

    def _left(self) -> list[int]:
        started = {pid for process in self.processes for pid in process.seen}
        known = [pid for process in self.processes for pid in process.descendants()]
        return [*known, *(pid for pid in started if is_ours(pid))]

    def _all_said(self) -> str:
        return "\n".join(f"--- {each.log.name}\n{each.output[-3000:]}" for each in self.processes)

    def _fail(self, why: str) -> NoReturn:
        raise AssertionError(f"{why}\n{self._all_said()}")


def is_closed(job: BatchJob) -> bool:
    closed: bool = BatchJob.objects.filter(pk=job.pk).exclude(finished_at=None).exists()
    return closed


def is_ours(pid: int) -> bool:
    """Whether the number still belongs to a Python that lives, and was not given away anew."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
