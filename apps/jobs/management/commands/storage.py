"""`manage.py storage`: whether bytes can be stored, and moving them to another place."""

from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Sum
from tqdm import tqdm

from apps.core.commands import OperatorCommand, verb
from apps.core.errors import DocmillError
from apps.core.screens import Told
from apps.jobs import moving, storage
from apps.jobs.models import Blob
from apps.jobs.places import Place, place_of

FOLDER = "folder"


class Command(OperatorCommand):
    help = """Say whether bytes can be stored, or copy them to another place.

  manage.py storage check
  manage.py storage migrate --to 's3://docmill?endpoint=https://minio.internal:9000' --dry-run
  manage.py storage migrate --to folder

migrate copies what is not there yet, and checks each file by its SHA-256: it can be stopped, and
run again. It removes nothing. Then set STORAGE_URL and start the service anew.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verb(verbs, "check", self._check, "write, read and remove something where bytes are")
        migrate = verb(verbs, "migrate", self._migrate, "copy all bytes to another place")
        migrate.add_argument("--to", required=True, metavar="URL", help="s3://..., or folder")
        migrate.add_argument("--dry-run", action="store_true", help="only count")

    def _check(self, _: dict[str, Any]) -> Told:
        try:
            return Told("storage", [{"type": storage.check(), "works": True}])
        except (DocmillError, OSError, ValueError) as error:
            raise CommandError(str(error)) from None

    def _migrate(self, options: dict[str, Any]) -> Told:
        to = _place(options["to"])
        total = Blob.objects.aggregate(size=Sum("size_bytes"))["size"] or 0
        try:
            if not options["dry_run"]:
                to.check()
            with closing(tqdm(total=total, unit="B", unit_scale=True, disable=None)) as bar:
                moved = moving.copy_all(to, is_dry=options["dry_run"], tell=bar.update)
        except (DocmillError, OSError) as error:
            raise CommandError(f"{error} What was copied stays; run it again.") from None
        row = {
            "would_copy" if options["dry_run"] else "copied": moved.copied,
            "bytes": moved.copied_bytes,
            "there_already": moved.there,
            "lost": len(moved.lost),
            "damaged": len(moved.damaged),
        }
        named = [{"file": name} for name in (*moved.lost, *moved.damaged)]
        return Told("files", [row], more={"not copied": named} if named else {})


def _place(url: str) -> Place:
    """Raises CommandError for what is none, and for where bytes are already."""
    try:
        to = place_of("" if url == FOLDER else url)
    except ValueError as error:
        raise CommandError(f"--to: {error}") from None
    if moving.is_same(to):
        raise CommandError("That is where the bytes are already.")
    return to
