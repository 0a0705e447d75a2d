import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.health import probes
from apps.health.report import UNHEALTHY


class Command(BaseCommand):
    help = "Say how the service is. Exit code 0 when it serves (also degraded), 1 when unhealthy."
    requires_system_checks: list[str] = []  # those may need what is broken

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the answer of /health as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        answer = probes.health()
        self.stdout.write(json.dumps(answer, indent=2) if options["json"] else _as_text(answer))
        if answer["status"] == UNHEALTHY:
            sys.exit(1)


def _as_text(answer: dict[str, Any]) -> str:
    lines = [f"{answer['status']}  (docmill {answer['version']}, {answer['timestamp']})"]
    for name, check in answer["checks"].items():
        lines.append(
            f"  {name:<12} {check['status']:<10} {check['type']:<12} {check['latency_ms']:>7.1f} ms"
        )
    return "\n".join(lines)
