"""Doing one thing to jobs named on the command line."""

import json
import sys
import uuid
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from django.utils import timezone

from apps.jobs.cli.arguments import USAGE
from apps.jobs.cli.doors import Away, Door, Json, Refused
from apps.jobs.cli.following import SOME_FAILED, FollowingCommand, have_lost
from apps.jobs.cli.tables import jobs_table


class ActingCommand(FollowingCommand):
    """Base of the commands that do `verb` to each of some jobs: an address below a job's in the
    API. Those it can be done to are, whatever becomes of the others."""

    verb: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", type=uuid.UUID, metavar="ID", help="of a job")
        parser.add_argument("--wait", action="store_true", help="until the jobs have ended")
        self.add_door_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        jobs: list[Json] = []
        problems: list[Json] = []
        with closing(self.open_door(options)) as door:
            self._act(door, dict.fromkeys(options["ids"]), jobs, problems)
            has_ended = options["wait"] and bool(jobs) and self._wait(door, jobs, problems)
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": jobs, "problems": problems}, indent=2))
        elif has_ended:
            self.tell_ended(jobs)
        elif jobs:
            self.stdout.write("\n".join(jobs_table(jobs, timezone.now())))
        if problems:
            sys.exit(USAGE)
        if options["wait"] and self.verb != "cancel" and have_lost(jobs):
            sys.exit(SOME_FAILED)

    def _wait(self, door: Door, jobs: list[Json], problems: list[Json]) -> bool:
        """Whether the jobs are there as they have ended; not when one of them is gone."""
        try:
            with self.interruptible(door, jobs, ""):
                jobs[:] = self.follow(door, jobs)
        except Refused as refused:
            problems.append(refused.problem)
            self.explain(refused)
            return False
        return True

    def _act(
        self, door: Door, ids: dict[uuid.UUID, None], jobs: list[Json], problems: list[Json]
    ) -> None:
        for job_id in ids:
            try:
                jobs.append(door.act(job_id, self.verb, {}))
            except Refused as refused:
                problems.append({**refused.problem, "job_id": str(job_id)})
                self.say(f"{job_id}: {refused}")
            except Away as away:
                problems.append(
                    {"code": "client.failed", "detail": str(away), "job_id": str(job_id)}
                )
                self.say(f"{job_id}: {away}")
