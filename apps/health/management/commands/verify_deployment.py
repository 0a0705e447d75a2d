import json
import logging
import os
import sys
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

import httpx
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.health.verification import BROKEN, Line, Verification

KEY_VARIABLE = "DOCMILL_API_KEY"


class Command(BaseCommand):
    help = """Try an installation from outside, as after every deployment: health, headers, HTTPS,
styles, errors, the key, an upload of 1.5 MB, live events, and one document from submission to its
text and its deletion. Leaves nothing behind. It counts as one batch for the limits of the key.

  DOCMILL_API_KEY=dm_... manage.py verify_deployment --url https://docs.example.com

Exit code 0: nothing is broken. 1: something is. Weak findings do not count, but with --strict.
"""
    requires_system_checks: list[str] = []  # it looks at another installation

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="where people reach it")
        parser.add_argument("--key", help=f"an API key there; default: ${KEY_VARIABLE}")
        parser.add_argument(
            "--seconds", type=float, default=120.0, help="to wait for the document (120)"
        )
        parser.add_argument("--strict", action="store_true", help="weak findings count, too")
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        key = options["key"] or os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise CommandError(f"Which key? Give --key or set {KEY_VARIABLE}.")
        if not options["url"].startswith(("http://", "https://")):
            raise CommandError("--url begins with http:// or https://.")
        # A line for every request would bury what is found.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        found: list[Line] = []
        with httpx.Client(timeout=httpx.Timeout(30, connect=10)) as http:
            look = Verification(options["url"], key, seconds=options["seconds"], http=http)
            for line in look.lines():
                found.append(line)
                if not options["json"]:
                    self.stdout.write(f"  {line.status:<7} {line.name:<11} {line.detail}")
        counts = {"broken", "weak"} if options["strict"] else {BROKEN}
        is_broken = any(line.status in counts for line in found)
        if options["json"]:
            document = {"broken": is_broken, "checks": [asdict(line) for line in found]}
            self.stdout.write(json.dumps(document, indent=2))
        if is_broken:
            sys.exit(1)
