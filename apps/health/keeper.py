"""Runs one command and lets none of its processes outlive it, nor the process that asked for it.

`python -I -S keeper.py COMMAND ...`, with a pipe as standard input. It runs as a bare script, so
it imports nothing but the standard library and costs about 10 ms and a few megabytes.

- The asker writes nothing to the pipe. When it closes, by intent or because the asker was killed,
  the command gets SIGTERM and a moment, then everything it started is killed.
- SIGTERM goes to the command alone: Celery and Granian tell their own children.
- When the command ends, its leftover descendants are killed, and its exit code becomes this one's
  (128 + n for signal n).

On Linux descendants are found even when their parents died first: the keeper is their
"subreaper" (prctl(2)), so they become its children. Elsewhere only the process group is reached.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

SECONDS_AFTER_TERM = 1.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Makes orphaned descendants children of this process, on Linux. Else nothing."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def parents() -> dict[int, int]:
    """The parent of every process, by id, from /proc; empty where there is none. No zombies."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we were looking
            stat = (entry / "stat").read_bytes()
            if not _is_zombie(stat):
                found[int(entry.name)] = int(_fields(stat)[1])
    return found


def _fields(stat: bytes) -> list[bytes]:
    """Those of proc(5) after the name, which may hold anything: state, ppid, ..."""
    return stat.rpartition(b")")[2].split()


def _is_zombie(stat: bytes) -> bool:
    """While other threads are still ending, the first one is shown as a zombie, and the children
    are not yet anybody else's: who left such a process out would not find them."""
    fields = _fields(stat)
    return fields[0] == b"Z" and int(fields[17]) <= 1  # num_threads


def descendants(root: int, *, spare: Collection[int] = ()) -> list[int]:
    """Ids of all processes below `root`, without those in `spare` and what is below them."""
    below: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        below.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        for pid in below.get(waiting.pop(), []):
            if pid not in spare:
                found.append(pid)
                waiting.append(pid)
    return found


def kill_descendants(*, spare: Collection[int] = (), seconds: float = 5.0) -> None:
    """Kills and reaps everything below this process but `spare`; gives up after `seconds`.

    In rounds, because a process may have forked, and orphans arrive, while the list was walked.
    """
    until = time.monotonic() + seconds
    killed: set[int] = set()
    while (found := descendants(os.getpid(), spare=spare)) and time.monotonic() < until:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(found)
        time.sleep(0.005)
    for pid in killed:
        with contextlib.suppress(ChildProcessError):  # its own parent reaped it
            os.waitpid(pid, os.WNOHANG)


class _Kept:
    """The command, and the wait for its end or for the pipe to close."""

    def __init__(self, command: list[str]) -> None:
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        # No signal before its handler knows whom to pass it on to.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
        self.pid = _start(command)
        signal.signal(signal.SIGTERM, lambda *_: self.terminate())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def exit_code(self) -> int | None:
        """Reaps whoever ended; the command's exit code if it was among them."""
        code = None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self.pid:
                    code = os.waitstatus_to_exitcode(status)
        return 128 - code if code is not None and code < 0 else code

    def wait(self, *, seconds: float | None, pipe: int | None) -> int | None:
        """The exit code; None when the time is over or `pipe` was closed."""
        until = None if seconds is None else time.monotonic() + seconds
        while (code := self.exit_code()) is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return None
            watched = [self._woken] if pipe is None else [self._woken, pipe]
            ready = select.select(watched, [], [], left)[0]
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 512)
            if pipe in ready and not os.read(pipe, 512):
                return None
        return code


def _start(command: list[str]) -> int:
    """Starts `command` in a session of its own, to be killed should the keeper be. Its pid."""
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(128 + signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
    os._exit(127)


def main(command: list[str]) -> NoReturn:
    """Runs `command` to its end, or to that of the pipe on standard input."""
    become_subreaper()
    kept = _Kept(command)
    code = kept.wait(seconds=None, pipe=0)
    if code is None:
        kept.terminate()
        code = kept.wait(seconds=SECONDS_AFTER_TERM, pipe=None)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(kept.pid, signal.SIGKILL)
    kill_descendants()
    kept.exit_code()  # leaves no zombie to whoever inherits them
    sys.exit(128 + signal.SIGKILL if code is None else code)


if __name__ == "__main__":
    main(sys.argv[1:])
