import json
import sys
from contextlib import closing
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from apps.health import doctor, promises


class Command(BaseCommand):
    help = """Say what works on this machine (how readers are kept in, engines, kinds, OCR
languages, optional extras, disk, database), and whether the queue keeps what it promises: leases,
workers, counters, results, bytes, the audit log. Exit code 0: nothing is broken. 1: something vital
is, with --fix still after it. Weak findings do not count.

  manage.py doctor
  manage.py doctor --quick --json
  manage.py doctor --fix
"""
    requires_system_checks: list[str] = []  # those may need what is broken

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the same as one JSON document")
        parser.add_argument(
            "--quick", action="store_true", help="do not read the whole disk and audit log"
        )
        parser.add_argument(
            "--fix", action="store_true", help="put right what can be, and look again"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what --fix would do, change nothing"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before --fix changes")

    def handle(self, *args: Any, **options: Any) -> None:
        found = _found(options)
        report = doctor.examine(found)
        told: dict[str, Any] = {}
        self._say(doctor.as_text(report), options)
        if options["dry_run"]:
            told = {"would": promises.plan(found)}
            self._say(_listed("Would do", told["would"]), options)
        elif options["fix"]:
            told, report = self._fix(found, report, options)
        is_broken = doctor.is_broken(report)
        if options["json"]:
            document = {"broken": is_broken, **doctor.as_json(report), **told}
            self.stdout.write(json.dumps(document, indent=2))
        if is_broken:
            sys.exit(1)

    def _fix(
        self, found: promises.Findings, report: doctor.Report, options: dict[str, Any]
    ) -> tuple[dict[str, Any], doctor.Report]:
        """What was done, and what is found then."""
        todo = promises.plan(found)
        if todo:
            self._confirm(todo, options)
        before = {title: [asdict(each) for each in part] for title, part in found.items()}
        done = promises.mend(found)
        found = _found(options)
        lost = promises.lost_jobs(found)
        after: doctor.Report = {**report, **found}
        self._say(_listed("Done", [f"{words}: {count}" for words, count in done.items()]), options)
        if lost:
            self._say(_listed("Submit again, for their bytes are lost", lost), options)
        if todo:
            self._say(doctor.as_text(found), options)
        return {"before": before, "done": done, "submit_again": lost}, after

    def _confirm(self, todo: list[str], options: dict[str, Any]) -> None:
        """Asks where somebody sits at a terminal."""
        if options["yes"] or not sys.stdin.isatty():
            return
        self.stderr.write(_listed("To be done", todo))
        self.stderr.write("Do it? [y/N] ", ending="")
        if input().strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if not options["json"]:
            self.stdout.write(text)


def _found(options: dict[str, Any]) -> promises.Findings:
    """On a terminal a bar shows how far the walk is."""
    with closing(tqdm(unit=" blobs and files", disable=None, leave=False)) as bar:
        return promises.inspect(
            is_quick=options["quick"], tell=lambda seen: bar.update(seen - bar.n)
        )


def _listed(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines or ["nothing"])])
