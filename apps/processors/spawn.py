"""One child process seen from outside: start, talk, end. `host` decides when."""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.processors import wire
from apps.processors.child import memory, rss_bytes
from apps.processors.errors import Usage
from apps.processors.postmortem import Death
from apps.processors.workroom import Workroom

# No secret of ours is in it. One thread per library: the slots share the processors among them;
# two malloc arenas, because every further one takes 64 MB of address space.
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OMP_THREAD_LIMIT": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
START = "import sys; sys.path[:] = sys.argv[1:]; from apps.processors.child import main; main()"
STDERR_TAIL_BYTES = 8192
SECONDS_BETWEEN_LOOKS = 0.04
SECONDS_TO_END = 0.5
UNKNOWN_EXIT = 255
CAN_LOOK = hasattr(os, "waitid")  # not on macOS before Python 3.13


class Gone(Exception):
    """The child closed its end: it is dead or dying."""


class Child:
    """A started child. Not to be shared between threads; dies with the thread that started it."""

    def __init__(self, *, memory_bytes: int) -> None:
        self.room = Workroom()
        self.memory_bytes = memory_bytes
        self._before: Mapping[str, float] = {}
        self._looked_at = 0.0
        self._seen_peak = 0
        self._inbox = wire.Inbox()
        self._stderr = b""
        to_child, self._to = os.pipe()
        self._from, from_child = os.pipe()
        self._errors, errors_of_child = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", START, *_import_path()],
            stdin=to_child,
            stdout=from_child,
            stderr=errors_of_child,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        for end in (to_child, from_child, errors_of_child):
            os.close(end)
        self._closed = False
        self._end: tuple[int, resource.struct_rusage | None] | None = None
        self._pipes = selectors.DefaultSelector()
        self._pipes.register(self._from, selectors.EVENT_READ)
        self._pipes.register(self._errors, selectors.EVENT_READ)

    def prepare(self, processors: Sequence[str]) -> None:
        """Tell it what to load; the first message. Raises Gone."""
        self.send(
            {
                "parent": os.getpid(),
                "processors": list(processors),
                "memory_bytes": self.memory_bytes,
                "folder": str(self.room.path),
            }
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Mapping[str, object]) -> None:
        """Raises Gone. Only while the child waits for a message, or this may block."""
        left = memoryview(wire.pack(message))
        try:
            while left:
                left = left[os.write(self._to, left) :]
        except BrokenPipeError as error:
            raise Gone from error

    def receive(self, timeout: float) -> list[dict[str, Any]]:
        """Messages that came within `timeout` seconds. Raises Gone, wire.TooLarge, wire.Garbled."""
        messages: list[dict[str, Any]] = []
        for key, _ in self._pipes.select(timeout):
            piece = os.read(key.fd, 1 << 20)
            if key.fd == self._errors:
                self._stderr = (self._stderr + piece)[-STDERR_TAIL_BYTES:]
                if not piece:
                    self._pipes.unregister(key.fd)
            elif not piece:
                raise Gone
            else:
                messages.extend(self._inbox.feed(piece))
        return messages

    def note(self, usage: Mapping[str, float]) -> None:
        """Remember what the process had used before the next document."""
        self._before = usage
        self._seen_peak = 0

    def look(self) -> None:
        """Take down its memory, now and then, for the case that it dies."""
        now = time.monotonic()
        if now - self._looked_at > SECONDS_BETWEEN_LOOKS:
            self._looked_at = now
            self._seen_peak = max(self._seen_peak, memory("VmHWM", self.pid))

    def is_alive(self) -> bool:
        """Whether it still runs. Looks without reaping where it can: the pid stays taken."""
        if self._end is None and not CAN_LOOK:
            self._reap(os.WNOHANG)
        if self._end is not None:
            return False
        try:
            look = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return not CAN_LOOK or os.waitid(os.P_PID, self.pid, look) is None
        except ChildProcessError:
            return False

    def wait(self, seconds: float) -> None:
        """Wait until it has ended by itself, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)

    def kill(self, *, gently: bool = False) -> None:
        """End the child and whatever it started. `gently` asks first and waits half a second."""
        if self._closed:
            return
        self._closed = True
        if gently:
            self._signal(signal.SIGTERM)
            self.wait(SECONDS_TO_END)
        # Before reaping: afterwards the number may be somebody else's.
        self._signal(signal.SIGKILL)
        if self._end is None:
            self._reap(0)
        self._read_last_words()
        self._pipes.close()
        for pipe in (self._to, self._from, self._errors):
            os.close(pipe)
        self.room.remove()

    def usage(self) -> Usage:
        """What the document cost at which the child ended. After `kill`."""
        if self._end is None or self._end[1] is None:
            return Usage()
        used = self._end[1]
        cpu = used.ru_utime + used.ru_stime - self._before.get("process_cpu_seconds", 0)
        # The kernel's final mark is the highest since the start, and counts the process that
        # forked this one. Only above the mark there was before is it this document's.
        peak = rss_bytes(used)
        if peak <= self._before.get("process_peak_rss_bytes", 0):
            peak = self._seen_peak
        return Usage(peak_rss_bytes=peak, cpu_seconds=max(cpu, 0.0))

    def death(self) -> Death:
        """How it ended. After `kill`, when the child had ended by itself before that."""
        exit_code = self._end[0] if self._end else UNKNOWN_EXIT
        taken = int(self._before.get("address_space_bytes", 0))
        return Death(
            exit=exit_code,
            grown_bytes=self.usage().peak_rss_bytes - int(self._before.get("rss_bytes", 0)),
            room_bytes=self.memory_bytes - taken if taken else 0,
            stderr=self._stderr.decode(errors="replace"),
        )

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _reap(self, flags: int) -> None:
        try:
            pid, status, used = os.wait4(self.pid, flags)
        except ChildProcessError:  # somebody else in this process waited for it
            self._end = UNKNOWN_EXIT, None
        else:
            if pid:
                self._end = os.waitstatus_to_exitcode(status), used
        if self._end is not None:
            self._process.returncode = self._end[0]

    def _read_last_words(self) -> None:
        """What stands in the stderr pipe; a descendant that escaped may hold it open."""
        os.set_blocking(self._errors, False)
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._errors, 65536):
                self._stderr = (self._stderr + piece)[-STDERR_TAIL_BYTES:]


def _import_path() -> list[str]:
    """Where this process finds modules, made absolute: the child finds the same processors."""
    return [str(Path(entry).resolve()) for entry in sys.path]
