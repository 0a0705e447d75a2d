"""`manage.py submit`: documents in, a job out."""

import getpass
import json
import os
import sys
import uuid
from argparse import ArgumentParser
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from apps.jobs.cli import paths
from apps.jobs.cli.arguments import USAGE, follow_command, undone
from apps.jobs.cli.doors import Away, Door, Json, Order, Refused
from apps.jobs.cli.following import SOME_FAILED, FollowingCommand, have_lost
from apps.jobs.cli.screens import Lines
from apps.jobs.cli.tables import files_in_words, visible
from apps.jobs.cli.watching import Watch
from apps.queue.models import PRIORITIES

SKIPPED_SHOWN = 10
NOTHING = "Nothing was submitted."
PASSWORD_VARIABLE = "DOCMILL_DOCUMENT_PASSWORD"  # noqa: S105 (a name, no password)


@dataclass
class Submitted:
    """What became of the batches: the jobs, and what was refused; `is_cut` when not all was done
    that was asked for."""

    jobs: list[Json] = field(default_factory=list)
    problems: list[Json] = field(default_factory=list)
    is_cut: bool = False

    @property
    def exit_code(self) -> int:
        """0 when no file is known to have failed."""
        if self.is_cut:
            return USAGE
        return SOME_FAILED if have_lost(self.jobs) or self.problems else 0


class Command(FollowingCommand):
    help = """Submit files and folders as jobs.

  manage.py submit invoices/ letter.pdf --wait
  manage.py submit invoices/ --save results/ --format xlsx
  manage.py submit scans/ --operation ocr --options '{"languages": ["deu"]}' --priority high
  DOCMILL_API_KEY=dm_... manage.py submit report.pdf --url https://mill.example.com --wait

Folders are searched to the bottom; hidden files in them, and kinds of files that are not read, are
left out. Exit code: 0 all went well, 1 some files failed or were rejected, 2 not all of it was
done: submitted, waited for, saved.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--operation", default="extract", help="what to do (extract)")
        parser.add_argument("--priority", choices=list(PRIORITIES), default="normal")
        parser.add_argument("--name", default="", help="what to call the job")
        parser.add_argument("--options", default="{}", metavar="JSON", help="of the operation")
        parser.add_argument(
            "--ask-password",
            action="store_true",
            help=f"ask for the password that opens the documents; default: ${PASSWORD_VARIABLE}",
        )
        parser.add_argument("--wait", action="store_true", help="until all is done; show results")
        self.add_save_arguments(parser)
        parser.add_argument(
            "--organization",
            type=uuid.UUID,
            metavar="UUID",
            help="where the job belongs; the user's personal organization when not given",
        )
        self.add_door_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        batches = self._batches(options["paths"])
        door = self.open_door(options)
        submitted = Submitted()
        with closing(door), self.interruptible(door, submitted.jobs, f"Stopped. {NOTHING}"):
            self._submit(door, batches, _order(options), submitted)
            if (options["wait"] or options["save"]) and submitted.jobs:
                self._see_through(door, submitted, options)
            elif not options["json"]:
                self._tell(door, submitted)
            if options["json"]:
                self._tell_json(door, submitted)
        if code := submitted.exit_code:
            sys.exit(code)

    def _batches(self, given: list[Path]) -> list[list[Path]]:
        try:
            picked = paths.pick(given)
        except paths.BadPath as error:
            raise undone(f"{error} {NOTHING}") from error
        if picked.skipped:
            names = ", ".join(visible(path.name) for path in picked.skipped[:SKIPPED_SHOWN])
            more = ", ..." if len(picked.skipped) > SKIPPED_SHOWN else ""
            count = files_in_words(len(picked.skipped))
            self.say(f"{count} skipped, of no kind that is read here: {names}{more}")
        if not picked.files:
            raise undone(f"There is no document in there. {NOTHING}")
        most = settings.BATCH_MAX_FILES
        batches = paths.batches(picked.files, most)
        if len(batches) > 1:
            self.say(
                f"{files_in_words(len(picked.files))} make {len(batches)} jobs of at most {most}."
            )
        return batches

    def _submit(
        self, door: Door, batches: list[list[Path]], order: Order, submitted: Submitted
    ) -> None:
        name = order.fields.get("name", "")
        for number, batch in enumerate(batches, start=1):
            if name and len(batches) > 1:
                order = order.named(f"{name} ({number} of {len(batches)})")
            try:
                submitted.jobs.append(door.submit(batch, order))
            except Refused as refused:
                submitted.problems.append(refused.problem)
                self.explain(refused)
                submitted.is_cut = not refused.is_about_files
            except (Away, OSError) as error:
                submitted.problems.append({"code": "client.failed", "detail": str(error)})
                self.stderr.write(visible(str(error)))
                submitted.is_cut = True
            if submitted.is_cut:
                left = sum(map(len, batches[number - 1 :]))
                self.say(f"Not submitted: {files_in_words(left)}." if submitted.jobs else NOTHING)
                return

    def _tell(self, door: Door, submitted: Submitted) -> None:
        for job in submitted.jobs:
            for each in job["rejected"]:
                self.say(f"rejected: {each['field']}: {each['code']}: {each['detail']}")
            counts = job["counts"]
            parts = [f"{files_in_words(counts['total'])}, {counts['rejected']} rejected"]
            if job["url"].startswith("http"):
                parts.append(job["url"])
            parts.append(f"follow it with: {follow_command(door, job['id'])}")
            self.stdout.write(visible(f"{job['id']}  {'; '.join(parts)}"))

    def _see_through(self, door: Door, submitted: Submitted, options: dict[str, Any]) -> None:
        """Waits and saves. Where that comes to nothing, the jobs are there and told of anyway."""
        try:
            self._wait(door, submitted, as_json=options["json"])
        except Refused as refused:
            self._note(submitted, refused)
            if not options["json"]:
                self._tell(door, submitted)
        else:
            self._save(door, submitted, options)

    def _note(self, submitted: Submitted, refused: Refused) -> None:
        submitted.problems.append(refused.problem)
        self.explain(refused)
        submitted.is_cut = True

    def _wait(self, door: Door, submitted: Submitted, *, as_json: bool) -> None:
        submitted.jobs[:] = self.follow(door, submitted.jobs)
        if not as_json:
            self.tell_ended(submitted.jobs)

    def _save(self, door: Door, submitted: Submitted, options: dict[str, Any]) -> None:
        watch = Watch(door, Lines(self.say))
        for job in submitted.jobs if options["save"] else ():
            try:
                watch.patiently(partial(self.save, door, job, options["save"], options["format"]))
            except Refused as refused:
                self._note(submitted, refused)
            except CommandError as error:
                self._note(submitted, Refused({"code": "client.failed", "detail": str(error)}))

    def _tell_json(self, door: Door, submitted: Submitted) -> None:
        """Writes the only thing that goes to standard output."""
        watch = Watch(door, Lines(self.say))
        for job in submitted.jobs:
            if job.pop("rejected", None) is None:  # the answer to a submission, not yet a job
                continue
            try:
                job["files"] = watch.patiently(partial(door.files, job["id"]))
            except Refused as refused:
                self._note(submitted, refused)
        answer = {"jobs": submitted.jobs, "problems": submitted.problems}
        self.stdout.write(json.dumps(answer, indent=2))


def _order(options: dict[str, Any]) -> Order:
    fields = {name: options[name] for name in ("operation", "priority", "name", "options")}
    if password := _password(ask=options["ask_password"]):
        fields["options"] = _with_password(fields["options"], password)
    return Order({name: text for name, text in fields.items() if text})


def _password(*, ask: bool) -> str:
    """Never from the command line, which everybody on the machine can read."""
    if not ask:
        return os.environ.get(PASSWORD_VARIABLE, "")
    try:
        return getpass.getpass("Password of the documents: ")
    except EOFError as error:
        raise undone(f"No password was given. {NOTHING}") from error


def _with_password(options: str, password: str) -> str:
    """`options` with the password in it; what is no JSON object stays, to be refused as it is."""
    try:
        decoded = json.loads(options)
    except (ValueError, RecursionError):
        return options
    return json.dumps(decoded | {"password": password}) if isinstance(decoded, dict) else options
