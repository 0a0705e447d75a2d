"""Real child processes for tests: they die with the test run, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest

T = TypeVar("T")

BASE_DIR = Path(__file__).resolve().parent.parent
MARK = "DOCMILL_TEST_PROCESS"
DEADLINE_SECONDS = 30.0

# Runs between fork and the real program: puts off root, then asks the kernel for a signal when the
# parent dies. In that order, because a change of user clears the request. Before that, Ctrl-C: a
# shell has its background jobs ignore it, and so would all they start. A program of its own and
# not `preexec_fn`, which may deadlock in a process with threads.
LAUNCHER = """
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
death_signal, parent, uid, gid = map(int, sys.argv[1:5])
if uid >= 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
libc = ctypes.CDLL(None)
if hasattr(libc, "prctl"):
    libc.prctl(1, death_signal)
if os.getppid() != parent:
    os._exit(1)
os.execvp(sys.argv[5], sys.argv[5:])
"""


def launch(
    arguments: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
    death_signal: int = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own; its output is appended to `log`.

    `user` is the (uid, gid) to run as. `death_signal` reaches it when this process dies.
    """
    uid, gid = user or (-1, -1)
    launcher = [sys.executable, "-ISc", LAUNCHER]
    numbers = [str(int(number)) for number in (death_signal, os.getpid(), uid, gid)]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*launcher, *numbers, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )


def eventually(condition: Callable[[], T], *, seconds: float = DEADLINE_SECONDS) -> T:
    """The first true value of `condition`; fails the test when none comes within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {condition}")
        time.sleep(0.02)
    return value


def _uncounted() -> dict[str, str]:
    """This process's environment, without what makes a child count its lines: that costs it half as
    much again, and makes it start late."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


class Process:
    """A running `manage.py` command, its output in a file."""

    def __init__(self, *arguments: str, log: Path, env: Mapping[str, str]) -> None:
        self.arguments = arguments
        self.log = log
        self.mark = uuid.uuid4().hex
        self._popen = launch(
            [sys.executable, BASE_DIR / "manage.py", *arguments],
            log=log,
            env={**_uncounted(), "PYTHONUNBUFFERED": "1", **env, MARK: self.mark},
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def wait_for(
        self, wanted: str | Callable[[], object], *, seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Waits until `wanted` was printed, or is true; fails at once if the process ends first."""
        deadline = time.monotonic() + seconds
        while True:
            ended = not self.is_running  # asked first: what it printed last still counts
            if wanted in self.output if isinstance(wanted, str) else wanted():
                return
            if ended:
                self._fail(f"ended with {self._popen.returncode} before {wanted!r}")
            if time.monotonic() > deadline:
                self._fail(f"not within {seconds:g} s: {wanted!r}")
            time.sleep(0.02)

    def wait(self, *, seconds: float = DEADLINE_SECONDS) -> int:
        """Its exit status, once it has ended by itself; negative is the signal that ended it."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._fail(f"still running after {seconds:g} s")

    def send(self, number: int) -> None:
        self._popen.send_signal(number)

    def terminate(self, *, seconds: float = DEADLINE_SECONDS) -> int:
        """SIGTERM to the process alone, as a service manager does; its exit status."""
        self.send(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def kill(self) -> None:
        """SIGKILL to the process alone, as the kernel does when memory runs out."""
        self._popen.kill()
        self._popen.wait()

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def descendants(self) -> list[int]:
        """What is left of everything it started: its session, and what carries its mark."""
        return [pid for pid in _pids() if pid != self.pid and self._is_ours(pid)]

    def close(self) -> None:
        """Ends it, asking first, then everything it started."""
        if self.is_running:
            self.thaw()
            self.send(signal.SIGTERM)
            try:
                self._popen.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        while left := self.descendants():
            for pid in left:
                _kill(pid)
            time.sleep(0.02)

    def _is_ours(self, pid: int) -> bool:
        try:
            if os.getsid(pid) == self.pid:
                return True
            return f"{MARK}={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except (ProcessLookupError, PermissionError, FileNotFoundError):
            return False

    def _fail(self, why: str) -> NoReturn:
        pytest.fail(f"manage.py {' '.join(self.arguments)}: {why}\n{self.output[-4000:]}")


def _pids() -> list[int]:
    """Every process that is not just waiting to be reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state not in "ZX":
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# The server ends the transaction of a process that froze in it; after 60 s where nobody waits.
POSTGRES_OPTIONS = "options=-c%20idle_in_transaction_session_timeout%3D3s%20-c%20lock_timeout%3D15s"


def live_database_url() -> str:
    """DATABASE_URL of the database that the running test uses."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    url = urlsplit(os.environ["DATABASE_URL"])
    path = f"{url.path.rpartition('/')[0]}/{name}"
    return urlunsplit(url._replace(path=path, query=POSTGRES_OPTIONS))


@pytest.fixture
def manage(tmp_path: Path, transactional_db: None) -> Iterator[Callable[..., Process]]:
    """Starts `manage.py` commands on the test's database: `manage("work", "--once", env={...})`.

    Whatever still runs at the end of the test is ended, with everything it started.
    """
    started: list[Process] = []

    def start(*arguments: str, env: Mapping[str, str] | None = None) -> Process:
        log = tmp_path / f"{len(started)}-{arguments[0]}.log"
        values = {"DATABASE_URL": live_database_url(), **(env or {})}
        process = Process(*arguments, log=log, env=values)
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.close()
