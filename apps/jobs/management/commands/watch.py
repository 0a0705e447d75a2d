"""`manage.py watch`: follow jobs until they have ended."""

import json
import sys
import uuid
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from apps.jobs.cli.arguments import undone
from apps.jobs.cli.doors import Away, Door, Json, Refused
from apps.jobs.cli.following import SOME_FAILED, FollowingCommand, have_lost
from apps.jobs.states import CLOSED, JobState

MOST = 20
"""Jobs that are followed when none is named: more bars than fit on a screen help nobody."""
OPEN = [state.value for state in JobState if state not in CLOSED]


class Command(FollowingCommand):
    help = """Follow jobs, with bars on a terminal and lines elsewhere, until they have ended.

  manage.py watch 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21
  manage.py watch
  DOCMILL_API_KEY=dm_... manage.py watch ID ID --url https://mill.example.com --json

Without an ID it follows the newest jobs that are not done, up to 20. Ctrl-C ends the watching, not
the jobs. Exit code: 0 all went well, 1 some files failed, were cancelled or rejected, 2 there is no
such job.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", type=uuid.UUID, metavar="ID", help="of a job")
        self.add_door_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with closing(self.open_door(options)) as door:
            try:
                jobs = self._jobs(door, options["ids"])
                with self.interruptible(door, jobs, ""):
                    jobs = self.follow(door, jobs) if jobs else []
            except (Refused, Away) as error:
                raise undone(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": jobs}, indent=2))
        elif jobs:
            self.tell_ended(jobs)
        else:
            self.stdout.write("Every job is done.")
        if have_lost(jobs):
            sys.exit(SOME_FAILED)

    def _jobs(self, door: Door, ids: list[uuid.UUID]) -> list[Json]:
        if ids:
            return [door.job(job_id) for job_id in dict.fromkeys(ids)]
        return door.jobs(OPEN, MOST)
