"""`manage.py backup`: the whole installation in one file, while it runs."""

import json
from argparse import ArgumentTypeError
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from apps.backups import making, restoring
from apps.backups.errors import BackupFailed
from apps.core.commands import OperatorCommand


class Command(OperatorCommand):
    help = """Write the whole installation into one file while it runs: all rows as they were at one
moment, the bytes they refer to, and the keys that it made for itself. Whoever has the file has all
documents: it is made readable for you alone, and not encrypted.

  manage.py backup                          into BACKUP_DIR
  manage.py backup /mnt/nas --keep 14
  manage.py backup /mnt/nas/before-upgrade.tar
  manage.py backup --verify /mnt/nas/docmill-20260301-030000.tar

Sessions and uploads in parts that are not submitted are left out.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "target", nargs="?", type=Path, help="a folder, or a new file that ends in .tar"
        )
        parser.add_argument(
            "--keep",
            type=_count,
            default=0,
            metavar="N",
            help="then remove all but the newest N of that folder; default: none are removed",
        )
        parser.add_argument(
            "--without-bytes", action="store_true", help="rows only, not the documents"
        )
        parser.add_argument(
            "--without-secrets",
            action="store_true",
            help="leave out the keys that were generated into the data directory",
        )
        parser.add_argument(
            "--verify", type=Path, metavar="ARCHIVE", help="read one and check all of it instead"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            told = _verify(options) if options["verify"] else _make(options)
        except BackupFailed as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            json.dumps(told, indent=2, default=str) if options["json"] else _text(told)
        )


def _make(options: dict[str, Any]) -> dict[str, Any]:
    planned = making.plan(
        options["target"],
        has_bytes=not options["without_bytes"],
        has_secrets=not options["without_secrets"],
    )
    if options["dry_run"]:
        return {"dry_run": True, **asdict(planned)}
    with closing(_bar(planned.size_bytes)) as bar:
        made = making.make(
            planned, keep=options["keep"], tell=lambda done, _: bar.update(done - bar.n)
        )
    return asdict(made)


def _verify(options: dict[str, Any]) -> dict[str, Any]:
    path = options["verify"]
    with closing(_bar(0)) as bar:

        def tell(_: str, done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        head, manifest = restoring.verify(path, tell)
    return {
        "path": path,
        "verified": True,
        "version": head.version,
        "at": head.at,
        "rows": sum(table.rows for table in manifest.tables),
        "files": manifest.files,
        "size_bytes": manifest.size_bytes,
        "has_bytes": head.has_bytes,
        "has_secrets": head.has_secrets,
        "lost": manifest.lost,
        "damaged": manifest.damaged,
    }


def _bar(total: int) -> Any:
    return tqdm(total=total, unit="B", unit_scale=True, disable=None, leave=False)


def _text(told: dict[str, Any]) -> str:
    if told.get("dry_run"):
        first = f"Would write {told['path']}"
    elif told.get("verified"):
        first = f"{told['path']} is whole: of {told['at']}, Docmill {told['version']}"
    else:
        first = f"Wrote {told['path']}"
    rows = f", {told['rows']:,} rows" if "rows" in told else ""
    size = told["size_bytes"] / 1024**2
    lines = [f"{first}{rows}, {told['files']:,} files, {size:,.1f} MB."]
    for name in ("lost", "damaged"):
        if found := told.get(name):
            lines.append(f"{len(found)} files are {name} in storage: run manage.py doctor.")
    lines += [f"Removed {path}" for path in told.get("removed", ())]
    return "\n".join(lines)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10_000):
        raise ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)
