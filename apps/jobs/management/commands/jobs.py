"""`manage.py jobs`: what was submitted, how far it is, and what is done to it."""

import json
import uuid
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import closing
from typing import Any

from django.utils import timezone

from apps.jobs.changes import MAX_REASON
from apps.jobs.cli.arguments import DoorCommand, undone
from apps.jobs.cli.doors import Away, Door, Json, Refused
from apps.jobs.cli.tables import files_table, jobs_table, paused_words
from apps.jobs.states import JobState
from apps.queue.models import PRIORITIES

MAX_LIMIT = 100
VERBS = {
    "pause": "start nothing more of the job; what runs goes on",
    "resume": "go on with a paused job",
    "cancel": "stop the job; results so far stay",
    "retry": "run again what failed or was cancelled",
    "requeue": "read every file again, also those that succeeded",
    "discard": "nobody needs to look at what failed any more",
}

KEEPING = (
    ("--keep", True, "keep the job from cleanup, however old it gets"),
    ("--let-go", False, "let cleanup remove the job when its time is over"),
)


class Command(DoorCommand):
    help = """List jobs, the newest first, show one with its files, or do something to it.

  manage.py jobs --state running --state queued
  manage.py jobs 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21
  manage.py jobs 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21 --pause --reason "Wrong scans"
  manage.py jobs 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21 --save results/ --format xlsx
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
        self.add_save_arguments(parser)
        self.add_door_arguments(parser)
        self._add_actions(parser)

    def _add_actions(self, parser: ArgumentParser) -> None:
        actions = parser.add_argument_group(
            "what to do to the job ID"
        ).add_mutually_exclusive_group()
        for verb, told in VERBS.items():
            actions.add_argument(
                f"--{verb}", dest="act", action="store_const", const=(verb, {}), help=told
            )
        for name, kept, told in KEEPING:
            actions.add_argument(
                name, dest="act", action="store_const", const=("", {"kept": kept}), help=told
            )
        actions.add_argument(
            "--priority", choices=list(PRIORITIES), help="let what waits go first, or last"
        )
        parser.add_argument("--reason", help=f"why it is paused; up to {MAX_REASON} characters")

    def handle(self, *args: Any, **options: Any) -> None:
        act = _act(options)
        with closing(self.open_door(options)) as door:
            try:
                if act:
                    door.act(options["id"], *act)
                if options["id"]:
                    self._show_one(door, options)
                else:
                    self._show_list(door, options)
            except (Refused, Away) as error:
                raise undone(str(error)) from error

    def _show_one(self, door: Door, options: dict[str, Any]) -> None:
        job = door.job(options["id"])
        job["files"] = door.files(options["id"])
        if options["save"]:
            self.save(door, job, options["save"], options["format"])
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": [job]}, indent=2))
            return
        paused = paused_words(job)
        notes = [f"It is {paused}."] if paused else []
        lines = [*jobs_table([job], timezone.now()), *notes, "", *files_table(job["files"])]
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


def _act(options: dict[str, Any]) -> tuple[str, Json] | None:
    """What to do to the job: as `Door.act` takes it. Raises CommandError."""
    if options["all"] and options["user"]:
        raise undone("Give --user or --all, not both.")
    act: tuple[str, Json] | None = options["act"]
    if options["priority"]:
        act = ("", {"priority": options["priority"]})
    if options["reason"] is not None:
        if act is None or act[0] != "pause":
            raise undone("--reason goes with --pause.")
        act = ("pause", {"reason": options["reason"]})
    if (act or options["save"]) and not options["id"]:
        raise undone("Say which job: give its ID.")
    if act and options["all"]:
        raise undone("Say as whom: --user EMAIL instead of --all.")
    return act


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise ArgumentTypeError(f"a whole number from 1 to {MAX_LIMIT}, not {text!r}")
    return int(text)
