"""The children of `up`: started, restarted when they die, stopped in order."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Self, cast

from apps.health import keeper
from apps.health.console import Console, Transcript

LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A child that lived this long has not failed in a row when it dies."""
CUT_SECONDS = 10.0
"""How long a keeper that was told to end at once may take: it gives its command one second."""


def restart_delay(failures: int) -> float:
    """Seconds to wait before the start after `failures` deaths in a row: 1, 2, 4, ... 30."""
    return min(LONGEST_DELAY_SECONDS, 2.0 ** (max(1, failures) - 1))


def describe_exit(code: int) -> str:
    """What an exit code of a keeper, or of Popen, says: 128 + n and -n both mean signal n."""
    number = code - 128 if code > 128 else -code
    if number <= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP, counted: the first asks for an orderly stop, the next for haste.

    A context manager; use it in the main thread. `pause` ends early when a signal arrives, also
    when a child ended.
    """

    ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> Self:
        self.count = 0
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        self._previous_wakeup = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._asked) for number in self.ASKING}
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        os.close(self._woken)
        os.close(self._wake)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.count += 1

    @property
    def is_asked(self) -> bool:
        return self.count > 0

    @property
    def is_urgent(self) -> bool:
        return self.count > 1

    def pause(self, seconds: float) -> None:
        """Waits for `seconds` or the next signal."""
        if select.select([self._woken], [], [], max(0.0, seconds))[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 512)


@dataclass(frozen=True)
class Child:
    """A process to keep running. `prepare` runs before each start (to remove a stale socket)."""

    name: str
    command: list[str]
    grace_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None


class Running:
    """A child's process, under its keeper, and its record of failures."""

    def __init__(self, child: Child, transcript: Transcript) -> None:
        self.child = child
        self.transcript = transcript
        self.failures = 0
        self.start_at = 0.0
        self.start()

    def start(self) -> None:
        self.child.prepare()
        self.process = start_kept(
            self.child.command, environment=self.child.environment, is_heard=True
        )
        self.transcript.follow(cast(BinaryIO, self.process.stdout))
        self.started_at = time.monotonic()
        self.is_expected = True

    def note_death(self, now: float) -> float:
        """Counts a death at `now` and plans the next start. Seconds until then."""
        steady = now - self.started_at >= STEADY_SECONDS
        self.failures = 1 if steady else self.failures + 1
        self.is_expected = False
        delay = restart_delay(self.failures)
        self.start_at = now + delay
        return delay

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ask_to_end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def cut(self) -> None:
        """Lets go of the keeper, which then ends its command within a second."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()

    def finish(self) -> None:
        """Waits for the keeper that was cut; kills it when it does not end."""
        try:
            self.process.wait(CUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.transcript.close()


def start_kept(
    command: list[str], *, environment: Mapping[str, str], is_heard: bool
) -> subprocess.Popen[bytes]:
    """Starts `command` under a keeper; its output goes into a pipe, or to ours if not `is_heard`.

    In a session of its own: Ctrl-C in a terminal goes to the whole foreground group, and the order
    of the stop is ours to decide.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if is_heard else None,
        stderr=subprocess.STDOUT if is_heard else None,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )


class Supervisor:
    """Keeps children running in the order of their start; stops them in the reverse order."""

    def __init__(self, console: Console, signals: StopSignals, logs: Path) -> None:
        self.console = console
        self.signals = signals
        self._logs = logs
        self._running: list[Running] = []
        self._passing: subprocess.Popen[bytes] | None = None
        # Processes whose keeper was killed become ours, to be ended by `_tidy`.
        keeper.become_subreaper()

    def start(self, child: Child) -> Running:
        transcript = Transcript(child.name, self.console, self._logs)
        running = Running(child, transcript)
        self._running.append(running)
        return running

    def tend(self) -> None:
        """One look at every child: notes who died, starts again whose delay is over."""
        now = time.monotonic()
        for running in self._running:
            if not running.has_ended():
                continue
            if running.is_expected:
                self._mourn(running, now)
            elif now >= running.start_at:
                running.start()

    def _mourn(self, running: Running, now: float) -> None:
        running.cut()
        self._tidy()
        delay = running.note_death(now)
        reason = describe_exit(running.process.returncode)
        if not self.console.is_open_to_children:
            for line in running.transcript.last_lines():
                self.console.quote(running.child.name, line)
        self.console.say(
            f"{running.child.name} ended ({reason}); starting it again in {delay:.0f} s"
        )

    def _tidy(self) -> None:
        processes = [running.process for running in self._running]
        if self._passing:
            processes.append(self._passing)
        keeper.kill_descendants(spare={each.pid for each in processes if each.poll() is None})

    def run(self, command: list[str]) -> int | None:
        """Runs `command` with our output while tending. Its exit code; None when asked to stop."""
        self._passing = process = start_kept(command, environment={}, is_heard=False)
        while process.poll() is None and not self.signals.is_asked:
            self.tend()
            self.signals.pause(1.0)
        code = process.poll()
        if process.stdin:
            process.stdin.close()
        process.wait(CUT_SECONDS)
        self._passing = None
        return code

    def stop(self) -> None:
        """Ends the children, last started first, each within its grace; at once when urgent."""
        for running in reversed(self._running):
            running.ask_to_end()
            until = time.monotonic() + running.child.grace_seconds
            while not (running.has_ended() or self.signals.is_urgent or time.monotonic() > until):
                self.signals.pause(min(0.5, until - time.monotonic()))
            if self.signals.is_urgent:
                break
            running.cut()
            running.finish()
        for running in self._running:
            running.cut()
        for running in self._running:
            running.finish()
        keeper.kill_descendants()
