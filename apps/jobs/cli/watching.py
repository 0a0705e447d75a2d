"""Waiting for jobs to end, patiently: through restarts and broken connections."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from apps.jobs.cli.doors import Away, Door, Json
from apps.jobs.cli.screens import Screen
from apps.jobs.states import CLOSED

T = TypeVar("T")

QUIET_SECONDS = 10.0
"""Without any change for so long, it is asked whether anybody works at all."""
LONGEST_PAUSE_SECONDS = 30.0
NO_WORKER = (
    "No worker is running, so nothing will happen. Start one: manage.py up, or "
    "manage.py work --loop."
)


@dataclass(frozen=True)
class Clock:
    """Seconds that only grow, and waiting for some to pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Watch:
    """Watches jobs through `door` and shows them on `screen`."""

    def __init__(self, door: Door, screen: Screen, clock: Clock | None = None) -> None:
        self._door = door
        self._screen = screen
        self._clock = clock or Clock()
        self._changed_at = 0.0
        self._is_warned = False

    def until_done(self, jobs: list[Json]) -> list[Json]:
        """`jobs` as they are when all of them have ended. Raises Refused when one is gone."""
        started = self._changed_at = self._clock.now()
        jobs = list(jobs)
        while True:
            before = [job["revision"] for job in jobs]
            jobs = [job if job["state"] in CLOSED else self._look(job) for job in jobs]
            self._screen.show(jobs)
            waiting = [job for job in jobs if job["state"] not in CLOSED]
            if not waiting:
                return jobs
            self._notice(before != [job["revision"] for job in jobs], waiting[0])
            waited = self._clock.now() - started
            self._clock.sleep(self._door.pause_seconds(waited, len(waiting)))

    def patiently(self, ask: Callable[[], T]) -> T:
        """What `ask` returns; asked again, ever more slowly, for as long as nobody answers."""
        pause = 1.0
        is_lost = False
        while True:
            try:
                answer = ask()
            except Away as away:
                if not is_lost:
                    self._screen.say(f"{away} The jobs go on; trying again until it answers.")
                is_lost = True
                self._clock.sleep(max(pause, away.retry_after or 0))
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                if is_lost:
                    self._screen.say("It answers again.")
                return answer

    def _look(self, job: Json) -> Json:
        return self.patiently(lambda: self._door.job(job["id"]))

    def _notice(self, is_moving: bool, waiting: Json) -> None:
        """Says once that nothing moves and nobody is there to move it."""
        now = self._clock.now()
        if is_moving:
            self._changed_at, self._is_warned = now, False
            return
        if self._is_warned or now - self._changed_at < QUIET_SECONDS:
            return
        if not self.patiently(lambda: self._door.has_worker(waiting)):
            self._screen.say(NO_WORKER)
            self._is_warned = True
