"""`manage.py restore`: an installation from a backup."""

import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from apps.backups import restoring
from apps.backups.errors import BackupFailed
from apps.core.commands import OperatorCommand

WORD = "replace"


class Command(OperatorCommand):
    help = """Make this the installation that a backup is of: its rows, bytes and keys. Stop the
service first. The file is checked before anything is written, and until the last step, which is
done at once, the installation is as it was.

  manage.py restore /mnt/nas/docmill-20260301-030000.tar
  manage.py restore --dry-run /mnt/nas/docmill-20260301-030000.tar

A backup of an older version is brought up to this one; one of a newer version is refused. It may be
of SQLite and be restored into PostgreSQL, and the other way round.
"""
    requires_system_checks: list[str] = []  # there may be no database yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("archive", type=Path, help="a file that manage.py backup wrote")
        parser.add_argument(
            "--force",
            action="store_true",
            help="take the place of an installation that is in use, without asking",
        )
        parser.add_argument(
            "--send-waiting",
            action="store_true",
            help="send mails and webhooks that waited when the backup was made; they may have been "
            "sent since, so they are withdrawn otherwise",
        )
        parser.add_argument("--dry-run", action="store_true", help="check it, and change nothing")
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["archive"]
        try:
            if options["dry_run"]:
                told = _look(path)
            else:
                replaces = self._may_replace(options)
                with closing(_bar()) as bar:
                    tell = _teller(bar)
                    restored = restoring.restore(
                        path, replaces=replaces, sends=options["send_waiting"], tell=tell
                    )
                told = {**asdict(restored), "head": _short(restored.head)}
        except BackupFailed as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Run manage.py doctor to see where it is.") from None
        text = json.dumps(told, indent=2) if options["json"] else _text(path, told)
        self.stdout.write(text)

    def _may_replace(self, options: dict[str, Any]) -> bool:
        """Whether what is here may go. Raises CommandError where somebody would have to be asked
        and is not there, or says no."""
        if options["force"] or not restoring.is_in_use():
            return bool(options["force"])
        asked = "There are people and data in this installation, and they would be gone for good."
        if not sys.stdin.isatty():
            raise CommandError(f"{asked} Give --force, or make a backup of it first.")
        self.stderr.write(f'{asked} Type "{WORD}" to go on: ', self.style.WARNING, ending="")
        if input().strip() != WORD:
            raise CommandError("Nothing was changed.")
        return True


def _look(path: Path) -> dict[str, Any]:
    with closing(_bar()) as bar:
        head, manifest = restoring.verify(path, _teller(bar))
    restoring.refuse_unfit(head)
    rows = sum(table.rows for table in manifest.tables)
    return {
        "dry_run": True,
        "head": _short(head),
        "rows": rows,
        "files": manifest.files,
        "size_bytes": manifest.size_bytes,
        "in_use": restoring.is_in_use(),
    }


def _short(head: Any) -> dict[str, Any]:
    told = asdict(head)
    told.pop("migrations")
    return told


def _bar() -> Any:
    return tqdm(unit="B", unit_scale=True, disable=None, leave=False)


def _teller(bar: Any) -> Any:
    def tell(doing: str, done: int, total: int) -> None:
        bar.set_description(doing)
        bar.total = total
        bar.n = done
        bar.update(0)

    return tell


def _text(path: Path, told: dict[str, Any]) -> str:
    head = told["head"]
    of = f"{path} of {head['at']}, Docmill {head['version']}: {told['rows']:,} rows"
    did = "Could restore" if told.get("dry_run") else "Restored"
    lines = [f"{did} {of}, {told['files']:,} files."]
    if told.get("dry_run"):
        if told["in_use"]:
            lines.append("It would take the place of people and data that are here.")
        return "\n".join(lines)
    lines += [f"{words.capitalize()}: {count}" for words, count in told["done"].items() if count]
    lines += [f"Warning: {each}" for each in told["warnings"]]
    lines.append("Now run manage.py doctor, and start the service.")
    return "\n".join(lines)
