"""`manage.py audit`: the log as a file, and what proves it."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import suppress
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management.base import CommandError
from django.utils import timezone

from apps.audit import checkpoints, exporting
from apps.audit.models import SYSTEM, AuditEntry
from apps.audit.naming import NoSuchLog, chain_named
from apps.audit.services import record
from apps.audit.signing import BadKey, fingerprint, printed
from apps.core.commands import OperatorCommand, verb
from apps.core.screens import Told


class Command(OperatorCommand):
    help = """Hand out the audit log, its checkpoints, and the key that they are proved with.

  manage.py audit export --organization Acme --since 2026-01-01 > acme.ndjson
  manage.py audit export --format csv --action job.delete > deleted.csv
  manage.py audit checkpoint
  manage.py audit checkpoints > /mnt/elsewhere/checkpoints.ndjson
  manage.py audit public-key > /mnt/elsewhere/key.pub

Nothing here changes an entry, and nothing takes one away. `manage.py verify_audit` proves the log.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        export = does.add_parser("export", help="entries, the oldest first, as NDJSON or CSV")
        export.set_defaults(run=self._export)
        export.add_argument("--format", choices=list(exporting.FORMATS), default="ndjson")
        export.add_argument("--organization", metavar="NAME", help="an id, a name, or system")
        export.add_argument("--action", default="", help="a code such as job.delete")
        export.add_argument("--actor", metavar="EMAIL", default="", help="by whom")
        export.add_argument("--since", type=_moment, metavar="TIME", help="from then on")
        export.add_argument("--until", type=_moment, metavar="TIME", help="before then")
        verb(does, "checkpoint", self._checkpoint, "sign the end of each log that has grown, now")
        listing = does.add_parser("checkpoints", help="every checkpoint, one a line of JSON")
        listing.set_defaults(run=self._checkpoints)
        listing.add_argument("--organization", metavar="NAME", help="an id, a name, or system")
        key = does.add_parser("public-key", help="what proves the checkpoints")
        key.set_defaults(run=self._public_key)
        key.add_argument("--pem", action="store_true", help="as PEM, which other programs read")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if "json" in options:
                super().handle(*args, **options)
            else:
                options["run"](options)
        except (BadKey, NoSuchLog) as error:
            raise CommandError(str(error)) from None
        except BrokenPipeError:  # whoever read it has enough
            with suppress(OSError):
                sys.stdout.close()

    def _export(self, options: dict[str, Any]) -> None:
        entries = AuditEntry.objects.all()
        if options["organization"]:
            entries = entries.filter(chain=chain_named(options["organization"]))
        given = ("action", "actor", "since", "until")
        choice = exporting.Chosen(**{name: options[name] for name in given})
        record(
            organization=None,
            actor=None,
            action="audit.export",
            target="organization" if options["organization"] else SYSTEM,
            target_id=options["organization"] or "",
            detail={name: options[name] for name in ("format", *given) if options[name]},
        )
        write = exporting.FORMATS[options["format"]].write
        for piece in write(exporting.chosen(entries, choice)):
            self.stdout.write(piece.decode(), ending="")

    def _checkpoint(self, options: dict[str, Any]) -> Told:
        made = checkpoints.make_checkpoints()
        rows = [{"log": c.chain, "number": c.number, "hash": c.hash, "key": c.key} for c in made]
        return Told("checkpoints", rows)

    def _checkpoints(self, options: dict[str, Any]) -> None:
        name = options["organization"]
        for line in checkpoints.lines(chain_named(name) if name else None):
            self.stdout.write(line)

    def _public_key(self, options: dict[str, Any]) -> None:
        key = checkpoints.signing_key().public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.stdout.write(pem.strip() if options["pem"] else printed(key))
        self.stderr.write(f"Checkpoints name it {fingerprint(key)}.")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"a time like 2026-01-31 or 2026-01-31T12:00Z, not {text!r}"
        ) from None
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
