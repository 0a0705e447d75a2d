import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.health import doctor


class Command(BaseCommand):
    help = (
        "Say what works on this machine: how readers are kept in, engines, kinds, OCR languages, "
        "optional extras, disk, database. Exit code 1 when something vital is broken. "
        "Example: manage.py doctor"
    )
    requires_system_checks: list[str] = []  # those may need what is broken

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the same as one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        report = doctor.examine()
        is_broken = doctor.is_broken(report)
        if options["json"]:
            sections = {
                title.lower(): [asdict(line) for line in lines] for title, lines in report.items()
            }
            self.stdout.write(json.dumps({"broken": is_broken, **sections}, indent=2))
        else:
            self.stdout.write(doctor.as_text(report))
        if is_broken:
            sys.exit(1)
