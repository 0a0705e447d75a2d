import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.health import probes
from apps.health.report import UNHEALTHY
from apps.processors.errors import Unavailable
from apps.processors.host import isolation_in_force


class Command(BaseCommand):
    help = (
        "Say how the service is, and how documents are kept in while they are read here. "
        "Exit code 0 when it serves (also degraded), 1 when unhealthy. Example: manage.py health"
    )
    requires_system_checks: list[str] = []  # those may need what is broken

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the same as one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        answer = probes.health() | {"isolation": _isolation()}
        self.stdout.write(json.dumps(answer, indent=2) if options["json"] else _as_text(answer))
        if answer["status"] == UNHEALTHY:
            sys.exit(1)


def _isolation() -> dict[str, Any]:
    """What a child that reads documents really gives up on this machine, and what is missing."""
    try:
        found = isolation_in_force()
    except Unavailable as error:
        return {"weaknesses": [error.detail]}
    return {**asdict(found), "weaknesses": found.weaknesses}


def _as_text(answer: dict[str, Any]) -> str:
    lines = [f"{answer['status']}  (docmill {answer['version']}, {answer['timestamp']})"]
    for name, check in answer["checks"].items():
        lines.append(
            f"  {name:<12} {check['status']:<10} {check['type']:<12} {check['latency_ms']:>7.1f} ms"
        )
    isolation = dict(answer["isolation"])
    weaknesses = isolation.pop("weaknesses")
    lines += ["Documents are read in a process with:"]
    lines += [f"  {what.replace('_', ' '):<23} {how}" for what, how in isolation.items()]
    lines += [f"  warning: {weakness}" for weakness in weaknesses]
    return "\n".join(lines)
