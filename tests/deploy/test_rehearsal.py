"""The image and the compose file, rehearsed: see rehearsal.py."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.describing import ROOT
from tests.servers import scratch_key

# It brings its own database: the same in every pass.
pytestmark = [pytest.mark.once, pytest.mark.tools, pytest.mark.timeout(400)]

APART = ["unshare", "--net", "--mount", "--propagation", "private"]


@pytest.fixture(scope="module")
def told(pytestconfig: pytest.Config) -> dict[str, Any]:
    folder = pytestconfig.stash[scratch_key] / "rehearsal"
    folder.mkdir(mode=0o755)
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [*APART, sys.executable, "-m", "tests.deploy.rehearsal", str(folder)],
        cwd=ROOT,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )
    assert done.returncode == 0, done.stdout + done.stderr + _logs(folder)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _logs(folder: Path) -> str:
    return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in folder.glob("*.log"))


def test_the_stores_keep_what_the_compose_file_promises(told: dict[str, Any]) -> None:
    assert told["stores"] == {
        "max_connections": "200",
        "redis": {"maxmemory-policy": "noeviction", "appendonly": "yes", "maxmemory": "268435456"},
        "cache": {"maxmemory-policy": "volatile-lru", "appendonly": "no", "maxmemory": "268435456"},
    }


def test_every_command_of_the_image_works(told: dict[str, Any]) -> None:
    assert told["migrate"][0] == 0, told["migrate"]
    assert told["admin"][0] == 0, told["admin"]
    code, output = told["verification"]
    checks = {each["name"]: each for each in json.loads(output)["checks"]}
    assert code == 0, [each for each in checks.values() if each["status"] != "ok"]
    # Plain HTTP, and one worker only: the other lanes have nobody.
    assert {name for name, each in checks.items() if each["status"] == "weak"} <= {
        "https",
        "health",
    }, checks
    assert checks["result"]["detail"] == "the text is what was sent"
    assert checks["deletion"]["detail"] == "nothing is left of it"


def test_the_containers_need_no_right_and_no_root_that_can_be_written(told: dict[str, Any]) -> None:
    assert told["written"].count("Read-only file system") == 3
    assert told["traces"] == []
    doctor = json.loads(told["doctor"])
    assert not doctor["broken"]
    layers = {line["name"]: line["status"] for line in doctor["isolation"]}
    # By seccomp alone: a container has no right to make a network of its own.
    for layer in ("network", "processes", "memory"):
        assert layers[layer] == "ok", doctor["isolation"]


def test_they_stop_in_order_when_they_are_told_to(told: dict[str, Any]) -> None:
    for name, end in told["stopped"].items():
        assert end["code"] == 0, (name, end)
        assert end["seconds"] < 25, (name, end)
