"""Schemathesis over the whole schema, against a server process.

In a process of its own, and over the network: from within pytest-django, its client would close
the connection that the test's transaction is on.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.processes import BASE_DIR

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "missing_required_header",
)
REAL_IDS = 0.8
"""How often a path has the id of something that there is."""


def run(
    url: str,
    folder: Path,
    *,
    ids: dict[str, list[str]],
    callers: Sequence[dict[str, str]],
    own: set[str],
    seed: int,
    seconds: int,
) -> subprocess.CompletedProcess[str]:
    """What schemathesis tells after so many seconds as those callers, one of them for each request;
    its status is 0 where everything held."""
    told = folder / "doors.json"
    told.write_text(json.dumps({"callers": list(callers), "own": sorted(own), "seed": seed}))
    config = folder / "schemathesis.toml"
    config.write_text(_config(ids))
    arguments = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        *(f"{url}/api/schema?format=json", "--url", url, "--seed", str(seed)),
        *("--max-time", str(seconds), "--checks", ",".join(CHECKS), "--no-color"),
        *("--request-timeout", "20", "--suppress-health-check", "all", "--continue-on-failure"),
        *("--generation-database", "none", "--warnings", "off", "--no-shrink"),
    ]
    env = {**os.environ, "DOORS": str(told), "PYTHONPATH": str(BASE_DIR)}
    return subprocess.run(
        arguments,
        cwd=folder,
        env={**env, "SCHEMATHESIS_HOOKS": "tests.doors.hooks"},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds * 4 + 120,
    )


def _config(ids: dict[str, list[str]]) -> str:
    lines: list[str] = []
    for name, values in ids.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    for name in ids:
        lines.append(f'"path.{name}" = {_binding(name)}')
    return "\n".join(lines) + "\n"


def _binding(name: str) -> str:
    return f'{{ dictionary = "{name}", probability = {REAL_IDS} }}'


def found(output: str) -> list[str]:
    """The lines of `output` that name what did not hold."""
    return [line for line in output.splitlines() if line.startswith(("- ", "____"))]


def counts(output: str) -> Any:
    """How many cases were made."""
    return [line for line in output.splitlines() if "generated" in line]
