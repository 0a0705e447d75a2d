"""`manage.py cleanup`: what is old enough goes."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat
from tqdm import tqdm

from apps.accounts.models import Organization
from apps.core.commands import OwnCommand
from apps.jobs import cleanup, leftovers
from apps.jobs.models import BatchJob


class Command(OwnCommand):
    help = """Remove jobs whose time is over, with all that only they use, and what else is too old:
exports, idempotency keys, sessions, bulk actions, what was sent to webhooks, uploads that never
finished. Beat does it by itself every hour; jobs that have not ended, or that somebody keeps, stay.

  manage.py cleanup --dry-run
  manage.py cleanup --older-than 7 --organization 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=_whole,
            metavar="DAYS",
            help="jobs that ended so long ago, also where results were promised for longer",
        )
        parser.add_argument("--dry-run", action="store_true", help="count only, remove nothing")
        parser.add_argument("--json", action="store_true", help="print what went for scripts")
        parser.add_argument(
            "--organization", type=UUID, metavar="ID", help="of this one only, and nothing but jobs"
        )
        parser.add_argument("--limit", type=_whole, metavar="N", help="at most so many jobs")
        parser.add_argument(
            "--yes", action="store_true", help="do not ask before --older-than removes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = self._jobs(options)
        chosen = jobs[: options["limit"]] if options["limit"] is not None else jobs
        if options["dry_run"]:
            gone = cleanup.would_go(chosen)
        else:
            self._confirm(chosen, options)
            gone = _remove(jobs, options["limit"], total=chosen.count())
        told = (
            asdict(gone) if options["organization"] else asdict(gone) | _others(options["dry_run"])
        )
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"]} | told, indent=2))
        else:
            self.stdout.write(_sentence(told, is_dry=options["dry_run"]))

    def _jobs(self, options: dict[str, Any]) -> QuerySet[BatchJob]:
        days = options["older_than"]
        jobs: QuerySet[BatchJob] = BatchJob.objects.expired()
        if days is not None:
            jobs = cleanup.older_than(timedelta(days=days))
        if options["organization"] is None:
            return jobs
        if not Organization.objects.filter(pk=options["organization"]).exists():
            raise CommandError(f"There is no organization {options['organization']}.")
        return jobs.filter(organization=options["organization"])

    def _confirm(self, jobs: QuerySet[BatchJob], options: dict[str, Any]) -> None:
        """Asks where more goes than was promised to. Raises CommandError where nobody says yes."""
        if options["older_than"] is None or options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(
                "Nobody can be asked here: give --yes, or --dry-run to see what would go."
            )
        gone = cleanup.would_go(jobs)
        if not gone.jobs:
            return
        self.stderr.write(_sentence(asdict(gone), is_dry=True))
        if input("Remove them for good? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was removed.")


def _remove(jobs: QuerySet[BatchJob], limit: int | None, *, total: int) -> cleanup.Gone:
    """Removes them; on a terminal a bar shows how far it is."""
    with closing(tqdm(total=total, unit=" jobs", disable=None, leave=False)) as bar:
        return cleanup.remove(jobs, limit=limit, tell=lambda part: bar.update(part.jobs))


OTHERS = ("exports", "idempotency_keys", "sessions", "work_items", "webhooks", "uploads")


def _others(is_dry: bool) -> dict[str, int]:
    """What is removed beside jobs, or would be."""
    keys, sessions, work = cleanup.old_keys(), cleanup.old_sessions(), cleanup.old_work()
    exports, messages = cleanup.old_exports(), cleanup.old_deliveries()
    if is_dry:
        counts = [each.count() for each in (exports, keys, sessions, work, messages)]
        return dict(zip(OTHERS, [*counts, len(leftovers.stale_uploads())], strict=True))
    found = (
        cleanup.remove_old_exports(),
        cleanup.remove_rows(keys),
        cleanup.remove_rows(sessions),
        cleanup.remove_work(work),
        cleanup.remove_rows(messages),
        leftovers.remove_stale_uploads(),
    )
    return dict(zip(OTHERS, found, strict=True))


def _sentence(told: dict[str, int], *, is_dry: bool) -> str:
    names = {
        "jobs": "job",
        "files": "file",
        "exports": "export",
        "idempotency_keys": "idempotency key",
        "sessions": "session",
        "work_items": "bulk action",
        "webhooks": "webhook",
        "uploads": "unfinished upload",
    }
    parts = [
        f"{count} {names[name]}{'' if count == 1 else 's'}"
        for name, count in told.items()
        if count and name in names
    ]
    if not parts:
        return "Nothing is old enough to be removed."
    size = filesizeformat(told["size_bytes"]).replace("\xa0", " ")
    return f"{'Would remove' if is_dry else 'Removed'} {', '.join(parts)}; {size} of disk."


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ArgumentTypeError(f"a whole number from 0 on, not {text!r}")
    return int(text)
