"""`manage.py verify_audit`: whether the audit log is as it was written."""

import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum
from tqdm import tqdm

from apps.audit import checkpoints
from apps.audit.chain import Flaw
from apps.audit.models import Chain
from apps.audit.naming import NoSuchLog, chain_named, names_of
from apps.audit.signing import BadCheckpoint, BadKey, Signed
from apps.audit.verifying import Outside, Verdict, chain_names, verdict

FLAWED, CANNOT = 1, 2
"""Exit codes."""


class Command(BaseCommand):
    help = """Prove that the audit log is as it was written; name the first bad entry of each log.

  manage.py verify_audit
  manage.py verify_audit --organization Acme --json
  manage.py verify_audit --checkpoints /mnt/elsewhere/checkpoints.ndjson --public-key key.pub

Who can write to the database can make a whole log anew, or take away its end with the checkpoints
in the database. Checkpoints that were kept elsewhere find that: `manage.py audit checkpoints` hands
them out, `manage.py audit public-key` the key. Exit code 0: every log is sound. 1: one is not.
2: it cannot be told.
"""
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--organization",
            metavar="NAME",
            help="only this log: an id, a name, or system; that of a deleted one by its id",
        )
        parser.add_argument(
            "--checkpoints",
            metavar="FILE",
            action="append",
            default=[],
            help="checkpoints that were kept elsewhere, one a line; - reads them from the input",
        )
        parser.add_argument(
            "--public-key",
            metavar="KEY",
            action="append",
            default=[],
            help="trust this key alone: base64, PEM, or a file with one. May be given again",
        )
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            trusted = checkpoints.trusted_keys(map(_key, options["public_key"]))
            outside = _outside(options["checkpoints"])
            only = options["organization"]
            names = iter([chain_named(only)]) if only else chain_names(outside)
        except (BadKey, BadCheckpoint, NoSuchLog, OSError) as error:
            raise CommandError(str(error), returncode=CANNOT) from None
        verdicts = list(_verdicts(names, trusted, outside, only))
        if only and not (verdicts[0].entries or verdicts[0].checkpoints or verdicts[0].flaw):
            told = f"The audit log {verdicts[0].chain} has no entries: is it the right id?"
            raise CommandError(told, returncode=CANNOT)
        called = names_of([each.chain for each in verdicts if each.flaw or only])
        self.stdout.write(_as_json(verdicts) if options["json"] else _as_text(verdicts, called))
        if any(each.flaw for each in verdicts):
            sys.exit(FLAWED)


def _verdicts(
    names: Iterator[str], trusted: checkpoints.Trusted, outside: Outside, only: str | None
) -> Iterator[Verdict]:
    """On a terminal a bar shows how far it is."""
    total = None if only else Chain.objects.aggregate(total=Sum("number"))["total"]
    with closing(tqdm(unit=" entries", total=total, disable=None, leave=False)) as bar:
        for name in names:
            yield verdict(name, trusted=trusted, outside=outside.get(name, ()), seen=bar.update)


def _key(text: str) -> str:
    """What the file holds that `text` names, else `text`."""
    is_text = "-----BEGIN" in text or not Path(text).is_file()
    return text if is_text else Path(text).read_text()


def _outside(paths: list[str]) -> dict[str, list[Signed]]:
    found: dict[str, list[Signed]] = {}
    for path in paths:
        lines = sys.stdin if path == "-" else Path(path).read_text().splitlines()
        try:
            for chain, signed in checkpoints.read(lines).items():
                found.setdefault(chain, []).extend(signed)
        except BadCheckpoint as error:
            raise BadCheckpoint(f"{path}: {error}") from None
    return found


def _as_text(verdicts: list[Verdict], called: dict[str, str]) -> str:
    lines = []
    for each in verdicts:
        if each.flaw:
            name = f" ({called[each.chain]})" if each.chain in called else ""
            lines += [f"NOT SOUND {each.chain}{name}: {each.flaw}", *_place(each.flaw)]
    entries, signed = sum(v.entries for v in verdicts), sum(v.checkpoints for v in verdicts)
    bad = sum(1 for each in verdicts if each.flaw)
    newest = max((each.signed_at for each in verdicts), default="")
    lines.append(
        f"{len(verdicts)} logs with {entries} entries and {signed} checkpoints"
        f"{f', the last of {newest}' if newest else ''}: {f'{bad} not sound' if bad else 'sound'}."
    )
    if not signed:
        lines.append(
            "No checkpoint speaks of them: what was taken away at the end, or made anew as a "
            "whole, is not seen. `manage.py audit checkpoint` signs them now."
        )
    return "\n".join(lines)


def _place(flaw: Flaw) -> Iterator[str]:
    for name in ("id", "at", "organization", "actor_name", "action"):
        if flaw.entry.get(name):
            yield f"  {name}: {flaw.entry[name]}"


def _as_json(verdicts: list[Verdict]) -> str:
    rows = [
        {
            "log": each.chain,
            "entries": each.entries,
            "checkpoints": each.checkpoints,
            "signed_at": each.signed_at or None,
            "flaw": _flaw_in_json(each.flaw),
        }
        for each in verdicts
    ]
    return json.dumps({"sound": not any(each.flaw for each in verdicts), "logs": rows}, indent=2)


def _flaw_in_json(flaw: Flaw | None) -> dict[str, Any] | None:
    if flaw is None:
        return None
    return {
        "number": flaw.number,
        "problem": flaw.problem.name.lower(),
        "told": str(flaw),
        "id": flaw.entry.get("id"),
        "at": flaw.entry.get("at"),
        "organization": flaw.entry.get("organization"),
        "action": flaw.entry.get("action"),
    }
