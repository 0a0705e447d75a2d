"""One door leads out: whatever is asked of addresses that people name goes through
`apps.core.outgoing`, which refuses private networks."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

APPS = Path(__file__).resolve().parents[2] / "apps"
CLIENTS = {"aiohttp", "http.client", "httpcore", "httpx", "requests", "urllib.request", "urllib3"}
MAY = {
    "core/outgoing.py": "the door",
    "health/management/commands/verify_deployment.py": "the command of whoever runs it",
    "health/up.py": "asks its own child whether it is up, on this machine",
    "health/verification.py": "what that command asks of the service it is given",
    "jobs/cli/arguments.py": "the command of whoever runs it, who names the service",
    "jobs/cli/in_parts.py": "the command of whoever runs it, who names the service",
    "jobs/cli/remote.py": "the command of whoever runs it, who names the service",
}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def test_nothing_but_the_door_speaks_http() -> None:
    users = {str(path.relative_to(APPS)) for path in APPS.rglob("*.py") if imported(path) & CLIENTS}
    assert users == set(MAY)


def test_what_is_sent_to_people_goes_through_the_door() -> None:
    assert "apps.core.outgoing" in " ".join(imported(APPS / "webhooks/sending.py"))
