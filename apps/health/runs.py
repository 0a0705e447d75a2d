"""Looking at things that may hang, many at once, without waiting for those that do.

A look may hang (a frozen server, a route that swallows packets), so each chain of looks runs in a
thread of its own and is waited for until a common deadline. Whoever asks while one is under way, or
has just ended, shares what it finds: however often anybody asks, each thing is looked at a few
times a second at most, and a dead one costs a few threads.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from apps.health.report import UNKNOWN, Finding

DEADLINE_SECONDS = 0.8
"""For all looks together, so that the whole answer comes within a second (H1)."""
FRESH_SECONDS = 0.2
"""For so long what was found answers others too."""
FORGET_SECONDS = 10.0
"""A run that hangs for longer is left to itself, so that a server that came back is seen."""
MAX_HANGING = 3
"""Runs of one chain that are left to themselves; with more of them the last is waited for."""


@dataclass(frozen=True)
class Probe:
    """A check by name. `type` and `late` are answered when `look` does not come back in time."""

    name: str
    look: Callable[[], Finding]
    type: Callable[[], str]
    is_vital: bool = False
    late: str = "timeout"


class Chain:
    """Probes that one thread makes one after the other, within `around`. After one that is vital
    and finds nothing good, of the others nothing is known."""

    def __init__(
        self,
        *probes: Probe,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.probes = probes
        self._around = around
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._hanging: list[Run] = []

    def join(self) -> "Run":
        """The run under way or just ended, else a new one."""
        with self._lock:
            if self._run is None or not self._run.is_shared(time.monotonic()):
                self._begin()
            assert self._run is not None
            return self._run

    def _begin(self) -> None:
        self._hanging = [run for run in self._hanging if not run.is_over]
        if self._run is not None and not self._run.is_over:
            if len(self._hanging) >= MAX_HANGING:
                return
            self._hanging.append(self._run)
        self._run = Run(self.probes, self._around)


class Run:
    """One time through a chain, in a thread of its own."""

    def __init__(
        self,
        probes: Sequence[Probe],
        around: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.began = time.monotonic()
        self.ended = float("inf")
        self.found: dict[str, Future[Finding]] = {probe.name: Future() for probe in probes}
        self._probes = probes
        self._around = around
        # A daemon: a look that hangs must not keep the process from ending.
        threading.Thread(target=self._work, name="health", daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self.ended < float("inf")

    def is_shared(self, now: float) -> bool:
        if all(future.done() for future in self.found.values()):
            if self.is_over:
                return now - self.ended < FRESH_SECONDS
            # It may hang in what comes after: what was found is not to be told for ever.
            return FRESH_SECONDS > 0 and now - self.began < FORGET_SECONDS
        return now - self.began < FORGET_SECONDS

    def finding(self, probe: Probe) -> Finding:
        """What it found, or that it is late: it is waited for until the deadline after its begin,
        by whoever asks when."""
        left = max(0.0, self.began + DEADLINE_SECONDS - time.monotonic())
        try:
            return self.found[probe.name].result(timeout=left)
        except FutureTimeoutError:
            waited_ms = (time.monotonic() - self.began) * 1000
            return Finding(probe.late, probe.type(), waited_ms)

    def _work(self) -> None:
        try:
            with self._around():
                self._look()
        finally:
            self.ended = time.monotonic()
            self._give_up()

    def _look(self) -> None:
        for probe in self._probes:
            found = self._look_at(probe)
            if probe.is_vital and not found.is_good():
                return

    def _look_at(self, probe: Probe) -> Finding:
        started = time.perf_counter()
        found = Finding("failed", probe.type())
        try:
            # What a look does not expect is a fault in it: it shows as failed, and the traceback
            # goes where those of threads go.
            found = probe.look()
        finally:
            latency_ms = (time.perf_counter() - started) * 1000
            found = Finding(found.status, found.type, latency_ms)
            self.found[probe.name].set_result(found)
        return found

    def _give_up(self) -> None:
        """Nobody is to wait for what was not looked at."""
        for probe in self._probes:
            if not self.found[probe.name].done():
                self.found[probe.name].set_result(Finding(UNKNOWN, probe.type()))


def examine(chains: Sequence[Chain]) -> dict[str, Finding]:
    """Looks at everything at the same time; what is not back by the deadline is `late`."""
    runs = [(chain, chain.join()) for chain in chains]
    return {probe.name: run.finding(probe) for chain, run in runs for probe in chain.probes}
