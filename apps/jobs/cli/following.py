"""Waiting for jobs where a person looks on: shown while it lasts, told once they have ended."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from apps.jobs.cli.arguments import DoorCommand, follow_command
from apps.jobs.cli.doors import Door, Json
from apps.jobs.cli.screens import Bars, Lines, Screen
from apps.jobs.cli.tables import files_table, visible
from apps.jobs.cli.watching import Watch

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
SOME_FAILED = 1
LOST = ("failed", "quarantined", "cancelled", "rejected")


def have_lost(jobs: Iterable[Json]) -> bool:
    """Whether a file of one of the jobs is known to have failed."""
    return any(job["counts"][state] for job in jobs for state in LOST)


class FollowingCommand(DoorCommand):
    """Base of the commands that wait for jobs."""

    def follow(self, door: Door, jobs: list[Json]) -> list[Json]:
        """`jobs` with their `files`, once all have ended. Raises Refused when one is gone."""
        screen: Screen = Bars() if self.stderr.isatty() else Lines(self.say)
        with closing(screen):
            watch = Watch(door, screen)
            ended = watch.until_done(jobs)
            for job in ended:
                job["files"] = watch.patiently(partial(door.files, job["id"]))
        return ended

    def tell_ended(self, jobs: Iterable[Json]) -> None:
        """Writes each job and what became of its files."""
        for job in jobs:
            title = f" ({job['name']})" if job["name"] else ""
            lines = [f"Job {job['id']}{title}: {job['state']}", *files_table(job["files"])]
            self.stdout.write("\n".join([visible(line) for line in lines]))

    @contextmanager
    def interruptible(self, door: Door, jobs: list[Json], otherwise: str) -> Iterator[None]:
        """Ctrl-C ends the command, not `jobs`: says so, and how to see them again; `otherwise` is
        what to say when there are none yet."""
        try:
            yield
        except KeyboardInterrupt:
            self.say("")  # the terminal has put ^C on the line
            if not jobs:
                self.say(otherwise)
            for job in jobs:
                self.say(f"The job goes on. Follow it: {follow_command(door, job['id'])}")
            sys.exit(INTERRUPTED)
