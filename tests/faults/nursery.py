"""Starts processes of the service in a third of a second instead of three.

One process imports everything that the service imports, but nothing of the service itself, and
forks on request. Settings and apps are imported after the fork, so two processes share no more
than they would if each had been started from a shell.
"""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

OWN = ("apps", "config", "tests", "conftest", "manage", "__main__", "__mp_main__")
UNFIT = ("pytest", "_pytest", "pytest_", "xdist", "execnet", "coverage", "hypothesis")
LATER = ("celery.apps.worker", "celery.concurrency.prefork", "celery.worker.consumer")


# --- in the test process -------------------------------------------------------------------------


class Nursery:
    """The forking process, and the way to ask it. Ends with the process that made it."""

    def __init__(self, folder: Path) -> None:
        from tests.processes import BASE_DIR, launch

        self.folder = folder
        self._count = 0
        self._requests = folder / "requests"
        os.mkfifo(self._requests)
        modules = folder / "modules"
        modules.write_text("\n".join(_importable()))
        self._process = launch(
            [sys.executable, "-u", "-m", "tests.faults.nursery", self._requests, modules],
            log=folder / "nursery.log",
            env={**_environment(), "PYTHONPATH": str(BASE_DIR)},
        )
        self._pipe = self._requests.open("w")

    def fork(self, *arguments: str, log: Path, env: Mapping[str, str]) -> "Forked":
        """A new process that runs `tests.faults.entry` with the arguments, in its own session."""
        self._count += 1
        notes = self.folder / str(self._count)
        request = {"arguments": arguments, "env": dict(env), "log": str(log), "notes": str(notes)}
        self._pipe.write(json.dumps(request) + "\n")
        self._pipe.flush()
        return Forked(notes, arguments)

    def close(self) -> None:
        self._pipe.close()
        self._process.wait()


class Forked:
    """As much of `subprocess.Popen` as the tests use, for a process that is not our child."""

    def __init__(self, notes: Path, arguments: object) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._status = notes.with_suffix(".status")
        self.pid = int(_read_soon(notes.with_suffix(".pid"), 60))

    def poll(self) -> int | None:
        if self.returncode is None and self._status.exists():
            self.returncode = int(_read_soon(self._status, 5))
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.args), timeout)
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _importable() -> list[str]:
    names = (*sys.modules, *LATER)
    return [name for name in names if not name.partition(".")[0].startswith((*OWN, *UNFIT))]


def _environment() -> dict[str, str]:
    """Without what would load the settings too early, and what would measure lines: forks of
    forks cannot be told apart there."""
    unfit = ("DJANGO_SETTINGS_MODULE", "COVERAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unfit)}


def _read_soon(path: Path, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing in {path}")
        time.sleep(0.005)
    return path.read_text()


# --- in the nursery ------------------------------------------------------------------------------


def main(requests: Path, modules: Path) -> None:
    """Forks for each line of `requests`. Returns in the new process only, to run it."""
    for name in modules.read_text().split():
        # What needs settings is imported after the fork.
        with suppress(Exception):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with requests.open() as lines:
        for line in lines:
            if os.fork() == 0:
                lines.close()
                _keep(json.loads(line))
                return
            _reap()
    sys.exit()


def _keep(request: dict[str, Any]) -> None:
    """Forks the process proper and returns in it; stays behind to write down how it ended."""
    _die_with_parent()
    notes = Path(request["notes"])
    pid = os.fork()
    if pid == 0:
        _become(request)
        return
    _write(notes.with_suffix(".pid"), pid)
    _, status = os.waitpid(pid, 0)
    _write(notes.with_suffix(".status"), os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: dict[str, Any]) -> None:
    os.setsid()
    _die_with_parent()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["manage.py", *request["arguments"]]


def _write(path: Path, number: int) -> None:
    """Whole at once: somebody may be reading."""
    draft = path.with_suffix(".draft")
    draft.write_text(str(number))
    draft.rename(path)


def _die_with_parent() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(1, int(signal.SIGKILL))


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
    from tests.faults.entry import main as run

    run(sys.argv[1:])
