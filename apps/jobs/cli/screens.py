"""Where somebody who waits sees how far their jobs are: bars on a terminal, else lines."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

from tqdm import tqdm

from apps.jobs.cli.doors import Json
from apps.jobs.cli.tables import age, done, paused_words
from apps.jobs.progress import place_words
from apps.jobs.states import CLOSED

LINE_SECONDS = 1.0


class Screen(Protocol):
    """Shows jobs, in one order, whenever they are looked at."""

    def show(self, jobs: list[Json]) -> None: ...

    def say(self, text: str) -> None:
        """Puts a line of text beside the progress."""

    def close(self) -> None: ...


class Bars:
    """A bar for each job, on standard error."""

    def __init__(self) -> None:
        self._bars: list[tqdm] = []

    def show(self, jobs: list[Json]) -> None:
        if not self._bars:
            self._bars = [_bar(row) for row in range(len(jobs))]
        for number, (bar, job) in enumerate(zip(self._bars, jobs, strict=True), start=1):
            bar.n = job["progress"]
            bar.set_description_str(f"{_title(number, jobs)}: {status(job)}", refresh=False)
            bar.refresh()

    def say(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        for bar in self._bars:
            bar.close()


class Lines:
    """A line for each change of a job, at most one a second, and always one for its end."""

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._last: dict[int, tuple[str, float]] = {}

    def show(self, jobs: list[Json]) -> None:
        for number, job in enumerate(jobs, start=1):
            text, now = status(job), self._clock()
            before, since = self._last.get(number, ("", float("-inf")))
            is_new = text != before
            if is_new and (job["state"] in CLOSED or now - since >= LINE_SECONDS):
                self._last[number] = (text, now)
                self._write(f"{_title(number, jobs)}: {text}")

    def say(self, text: str) -> None:
        self._write(text)

    def close(self) -> None:
        """Lines stay as they are."""


def status(job: Json) -> str:
    """Where the job stands, in a few words."""
    counts = job["counts"]
    parts = [f"{done(job)} of {counts['total']} done"]
    failed = counts["failed"] + counts["quarantined"]
    told = (
        (counts["rejected"], "rejected"),
        (failed, "failed"),
        (counts["cancelled"], "cancelled"),
        (counts["retry_wait"], "to be tried again"),
        (counts["running"], "running"),
    )
    parts += [f"{count} {what}" for count, what in told if count]
    if paused := paused_words(job):
        parts.append(paused)
    elif job["state"] in CLOSED:
        parts.append(job["state"])
    elif ahead := job.get("queue_position"):
        parts.append(place_words(ahead, str(ahead)))
    elif job["eta_seconds"]:
        parts.append(f"about {age(job['eta_seconds'])} left")
    return ", ".join(parts)


def _title(number: int, jobs: list[Json]) -> str:
    return f"Job {number} of {len(jobs)}" if len(jobs) > 1 else "Job"


def _bar(row: int) -> tqdm:
    return tqdm(
        total=1.0,
        position=row,
        bar_format="{desc} {percentage:3.0f}% |{bar}|",
        dynamic_ncols=True,
        leave=True,
    )
