"""`manage.py jobs`: what was submitted, and how far it is."""

import json
import uuid
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import closing
from typing import Any

from django.utils import timezone

from apps.jobs.cli.arguments import DoorCommand, undone
from apps.jobs.cli.doors import Away, Door, Refused
from apps.jobs.cli.tables import files_table, jobs_table
from apps.jobs.states import JobState

MAX_LIMIT = 100


class Command(DoorCommand):
    help = """List jobs, the newest first, or show one with its files.

  manage.py jobs --state running --state queued
  manage.py jobs 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21
  DOCMILL_API_KEY=dm_... manage.py jobs --url https://mill.example.com
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", nargs="?", type=uuid.UUID, metavar="ID", help="of one job")
        parser.add_argument(
            "--state",
            action="append",
            default=[],
            choices=[state.value for state in JobState],
            help="only jobs in this state; may be given again",
        )
        parser.add_argument("--limit", type=_limit, default=20, help=f"1 to {MAX_LIMIT} (20)")
        parser.add_argument(
            "--all", action="store_true", help="those of every organization of this installation"
        )
        self.add_door_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["all"] and options["user"]:
            raise undone("Give --user or --all, not both.")
        with closing(self.open_door(options)) as door:
            try:
                if options["id"]:
                    self._show_one(door, options["id"], as_json=options["json"])
                else:
                    self._show_list(door, options)
            except (Refused, Away) as error:
                raise undone(str(error)) from error

    def _show_one(self, door: Door, job_id: uuid.UUID, *, as_json: bool) -> None:
        job = door.job(job_id)
        job["files"] = door.files(job_id)
        if as_json:
            self.stdout.write(json.dumps({"jobs": [job]}, indent=2))
            return
        lines = [*jobs_table([job], timezone.now()), "", *files_table(job["files"])]
        self.stdout.write("\n".join(lines))

    def _show_list(self, door: Door, options: dict[str, Any]) -> None:
        jobs = door.jobs(options["state"], options["limit"])
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": jobs}, indent=2))
        elif jobs:
            self.stdout.write("\n".join(jobs_table(jobs, timezone.now())))
        elif options["state"]:
            self.stdout.write(f"No job is {' or '.join(options['state'])}.")
        else:
            self.stdout.write("There is no job yet. Submit documents: manage.py submit FOLDER")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise ArgumentTypeError(f"a whole number from 1 to {MAX_LIMIT}, not {text!r}")
    return int(text)
