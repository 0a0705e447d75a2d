"""`manage.py bulk`: one act on everything that matches, as background work."""

import json
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from contextlib import closing
from datetime import datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from tqdm import tqdm

from apps.accounts.models import User
from apps.core.commands import OwnCommand
from apps.core.errors import DocmillError
from apps.jobs import bulk
from apps.jobs.admin.bulk import matching_for
from apps.jobs.changes import clean_reason
from apps.jobs.cli.arguments import undone
from apps.jobs.cli.doors import Away
from apps.jobs.cli.local import NoSuchUser, find_user
from apps.jobs.cli.tables import visible
from apps.jobs.cli.watching import NO_WORKER
from apps.jobs.verbs import Verb
from apps.queue.doorbell import live_slots
from apps.queue.models import PRIORITIES, WorkItem
from apps.queue.retry import FailureClass
from apps.queue.states import FINISHED, State
from apps.queue.work_items import LANE

OPERATIONS = list(dict.fromkeys(name for verbs in bulk.VERBS.values() for name in verbs))
LOOK_SECONDS = 0.5
LIST_FILTERS = ("state", "operation", "priority", "organization", "error_class", "lane", "search")
OF_FILES = ("error_class", "lane")
PARAMETERS = {
    ("files", "operation"): "job__operation",
    ("jobs", "search"): "q",
    ("files", "search"): "q",
}
"""What the lists of the admin call a filter that has another name here."""


class Command(OwnCommand):
    help = """Do one thing to all jobs, or files, that match: as background work, audited.

  manage.py bulk retry --state failed --error-class infra --dry-run
  manage.py bulk cancel --organization 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21 --state queued
  manage.py bulk delete --state succeeded --created-before 2026-01-31 --reason "Old" --wait

The filters are those of the lists in the admin. What matches is settled at once; each is looked at
again when its turn comes.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "verb", choices=OPERATIONS, metavar="OPERATION", help=", ".join(OPERATIONS)
        )
        parser.add_argument(
            "--of", choices=sorted(bulk.VERBS), help="jobs, or single files of them"
        )
        parser.add_argument("--state")
        parser.add_argument("--operation", help="what was asked for: extract, ocr")
        parser.add_argument("--priority", choices=list(PRIORITIES))
        parser.add_argument("--organization", metavar="ID", help="its id, or a part of its name")
        parser.add_argument("--error-class", choices=list(FailureClass), help="of files")
        parser.add_argument("--lane", help="of files")
        parser.add_argument("--search", help="what the list's search takes")
        parser.add_argument("--created-after", type=_moment, metavar="TIME")
        parser.add_argument("--created-before", type=_moment, metavar="TIME")
        parser.add_argument("--reason", default="", help="kept in the audit log")
        parser.add_argument(
            "--user", metavar="EMAIL", help="act as this user; default: the only administrator"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be meant")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--wait", action="store_true", help="until it is done, with a bar")
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        of, verb = _verb(options)
        user = _actor(options["user"], verb)
        matching = _matching(of, user, options)
        shown = bulk.preview(matching)
        if options["dry_run"]:
            told = self._preview(verb, matching, shown, as_json=options["json"])
            self.stdout.write(told)
            return
        if not (options["yes"] or self._agrees(verb, matching, shown)):
            raise undone("Nothing was done.")
        try:
            most = None if shown.has_more else shown.count
            reason = clean_reason(options["reason"])
            item = bulk.request_bulk(
                by=user, verb=verb, matching=matching, reason=reason, at_most=most
            )
        except DocmillError as error:
            raise undone(str(error)) from error
        if options["wait"]:
            item = self._wait(item)
        self._tell(item, as_json=options["json"])
        if options["wait"] and item.state != State.SUCCEEDED:
            sys.exit(1)

    def _agrees(self, verb: Verb, matching: bulk.Matching, shown: bulk.Preview) -> bool:
        """Asks on a terminal, away from what programs read. Raises CommandError where nobody can
        be asked."""
        if not sys.stdin.isatty():
            raise undone("Nobody can be asked here: give --yes, or --dry-run to see what is meant.")
        self.stderr.write(self._preview(verb, matching, shown, as_json=False), str)
        self.stderr.write(f"{verb.label}: {_number(matching, shown)}? [y/N] ", str, ending="")
        return input().strip().lower() in ("y", "yes")

    def _preview(
        self, verb: Verb, matching: bulk.Matching, shown: bulk.Preview, *, as_json: bool
    ) -> str:
        if as_json:
            told = {
                "operation": verb.name,
                "of": matching.of,
                "filter": dict(matching.filters),
                "count": shown.count,
                "has_more": shown.has_more,
                "states": dict(shown.states),
                "organizations": dict(shown.organizations),
                "of_others": shown.elsewhere,
                "first": [str(row.pk) for row in shown.first],
            }
            return json.dumps(told, indent=2)
        lines = [f"{verb.label}: {_number(matching, shown)}, {bulk.in_words(matching.filters)}"]
        lines += [f"  {count:>6}  {state}" for state, count in shown.states]
        lines += [f"  {count:>6}  of {name}" for name, count in shown.organizations]
        lines += [f"  {shown.elsewhere:>6}  of others"] if shown.elsewhere else []
        lines.append(verb.effect)
        return "\n".join([visible(line) for line in lines])

    def _wait(self, item: WorkItem) -> WorkItem:
        if not live_slots(LANE):
            self.stderr.write(NO_WORKER, str)
        bar_format = "{desc} {percentage:3.0f}% |{bar}|"
        with closing(tqdm(total=1.0, bar_format=bar_format, file=self.stderr._out)) as bar:
            while item.state not in FINISHED:
                bar.n = item.progress
                bar.set_description_str(item.stage or item.state)
                time.sleep(LOOK_SECONDS)
                item.refresh_from_db()
            bar.n = item.progress
            bar.set_description_str(item.state)
        return item

    def _tell(self, item: WorkItem, *, as_json: bool) -> None:
        if as_json:
            told = {"id": str(item.pk), "title": item.title, "state": item.state}
            told |= {"total": item.payload["total"]} | item.result
            self.stdout.write(json.dumps(told, indent=2))
            return
        self.stdout.write(visible(f"{item.pk}  {item.title}: {item.state}"))
        if "done" in item.result:
            self.stdout.write(f"  {item.result['done']:>6}  done")
        for reason, count in item.result.get("skipped", {}).items():
            self.stdout.write(f"  {count:>6}  skipped. {reason}")
        if item.error_detail:
            self.stdout.write(f"  {item.error_detail}")


def _verb(options: dict[str, Any]) -> tuple[str, Verb]:
    """Of what, and what is done. Raises CommandError when the two do not go together."""
    of = options["of"] or ("files" if any(options[name] for name in OF_FILES) else "jobs")
    verb = bulk.VERBS[of].get(options["verb"])
    if verb is None:
        raise undone(f"{options['verb']} is for jobs, not for single files of them.")
    return of, verb


def _actor(email: str | None, verb: Verb) -> User:
    """Who does it. Raises CommandError when nobody may."""
    try:
        user = find_user(email)
    except (NoSuchUser, Away) as error:
        raise undone(str(error)) from error
    if not (user.is_staff and user.has_perm(verb.permission)):
        raise undone(f"{user.email} may not do this: it takes {verb.permission}.")
    return user


def _matching(of: str, user: User, options: dict[str, Any]) -> bulk.Matching:
    """What the options mean. Raises CommandError for what is no filter of that list."""
    given = {name: options[name] for name in LIST_FILTERS if options[name]}
    if of == "jobs" and (wrong := [name for name in OF_FILES if name in given]):
        raise undone(f"--{wrong[0].replace('_', '-')} is of files: give --of files, or leave it.")
    if "priority" in given:
        given["priority"] = str(PRIORITIES[given["priority"]])
    filters = {PARAMETERS.get((of, name), name): value for name, value in given.items()}
    try:
        matching = matching_for(of, user, filters)
    except IncorrectLookupParameters:
        raise undone("One of these filters has a value that does not exist.") from None
    rows, spans = matching.rows, {}
    if after := options["created_after"]:
        rows, spans["created after"] = rows.filter(created_at__gte=after), after.isoformat()
    if before := options["created_before"]:
        rows, spans["created before"] = rows.filter(created_at__lt=before), before.isoformat()
    return bulk.Matching.now(of, rows, {**filters, **spans})


def _number(matching: bulk.Matching, shown: bulk.Preview) -> str:
    noun = matching.of.removesuffix("s") if shown.count == 1 else matching.of
    return f"{'more than ' if shown.has_more else ''}{shown.count} {noun}"


def _moment(text: str) -> datetime:
    """A time with its zone, or in the server's, or the start of a day."""
    try:
        moment = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"a time such as 2026-01-31 or 2026-01-31T12:00Z, not {text!r}"
        ) from None
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
