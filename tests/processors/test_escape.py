"""A document that takes over its reader gets nothing: not as root, not as the worker's own user."""

import json
import os
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processors.hosting import SECRET

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
SOMEBODY = 61234
REFUSALS = {"EACCES", "EPERM", "EXDEV", "ENOSYS"}


def may_be_run_by_all(program: Path) -> bool:
    folders = [*program.resolve().parents, *program.parents, *ROOT.parents, ROOT]
    return program.exists() and all(folder.stat().st_mode & 0o005 == 0o005 for folder in folders)


def an_interpreter() -> str:
    """One of this version that an ordinary user may run: ours may lie in a closed home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (Path(sys.executable), Path("/usr/bin") / version):
        if may_be_run_by_all(program):
            return str(program)
    pytest.skip("needs an interpreter that an ordinary user may run")


@pytest.fixture(params=["root", "somebody"])
def result(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What came of the attack on a worker of this user."""
    program, user = sys.executable, {}
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    if request.param == "somebody" and os.geteuid() == 0:
        program = an_interpreter()
        user = {"user": SOMEBODY, "group": SOMEBODY, "extra_groups": []}
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *site.getsitepackages()]),
        "SECRET_KEY": SECRET,
    }
    run = subprocess.run(
        [program, "-m", "tests.processors.hosting"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **user,
    )
    assert run.returncode == 0, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    assert (answer["uid"] == 0) == (request.param == "root")
    return answer


def test_a_hostile_document_gets_nothing(result: dict[str, Any]) -> None:
    told = result["told"]
    assert told.pop("own work") == "rewritten"
    assert len(told) > 45
    assert {name: outcome for name, outcome in told.items() if outcome not in REFUSALS} == {}
    assert result["unharmed"]
    assert result["left"] == ["docmill.sqlite3", "order.txt"]
    assert result["in the others room"] == 0
    assert result["weaknesses"] == []
    assert SECRET not in json.dumps(result)
