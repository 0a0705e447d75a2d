"""Each check of `make test` fails when the fault is there that it looks for, and names it.

A fault is planted in a copy of the tree; then the very target that `make check` runs is run there.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parent.parent.parent
NEEDED = ("apps", "config", "templates", "static", "tests", ".ci", "docs", ".mypy_cache")
NEEDED_FILES = (".env.example", "manage.py", "Makefile", "pyproject.toml", "requirements.lock")
NEW = "apps/core/planted.py"

pytestmark = pytest.mark.once

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Fault:
    """Text for the end of a file, which is made if it is not there, and what must be said of it."""

    name: str
    target: str
    path: str
    text: str
    said: str


FAULTS = (
    Fault("unused import", "check-lint", NEW, "import os\n", "F401"),
    Fault(
        "complexity of 9",
        "check-lint",
        NEW,
        "def planted(value: int) -> int:\n"
        + "".join(f"    if value == {n}:\n        value += {n}\n" for n in range(8))
        + "    return value\n",
        "`planted` is too complex (9 > 8)",
    ),
    Fault(
        "six positional parameters",
        "check-lint",
        NEW,
        "def planted(a: int, b: int, c: int, d: int, e: int, f: int) -> int:\n"
        "    return a + b + c + d + e + f\n",
        "PLR0917",
    ),
    Fault(
        "silent except",
        "check-lint",
        NEW,
        "try:\n    x = 1\nexcept Exception:\n    x = 2\n",
        "BLE001",
    ),
    Fault("wrong format", "check-format", NEW, "planted = {  'a':1 }\n", 'planted = {"a": 1}'),
    Fault(
        "wrong type",
        "check-types",
        NEW,
        'def planted() -> int:\n    return "text"\n',
        f"{NEW}:2: error: Incompatible return value",
    ),
    Fault(
        "import upwards",
        "check-imports",
        NEW,
        "import apps.jobs.models\n",
        "apps.core.planted -> apps.jobs.models",
    ),
    Fault(
        "Django in a pure module",
        "check-imports",
        "apps/queue/retry.py",
        "import django.db\n",
        "apps.queue.retry -> django",
    ),
    Fault(
        "config in an app",
        "check-imports",
        NEW,
        "import config.settings\n",
        "apps.core.planted -> config",
    ),
    Fault("app on no floor", "check-imports", "apps/planted/__init__.py", "\n", "apps.planted"),
    Fault(
        "function of 51 lines",
        "check-sizes",
        NEW,
        "def planted() -> None:\n" + "    print()\n" * 50,
        f"{NEW}:1: planted has 51 lines",
    ),
    Fault(
        "file of 401 lines", "check-sizes", NEW, "x = 1\n" * 401, f"{NEW}:1: the file has 401 lines"
    ),
    Fault(
        "model without its migration",
        "check-migrations",
        "apps/accounts/models.py",
        "\n\nclass Planted(models.Model):\n    name = models.TextField()\n",
        "Create model Planted",
    ),
    Fault(
        "setting that loses work",
        "check-django",
        "config/settings.py",
        "\nCELERY_WORKER_PREFETCH_MULTIPLIER = 4\n",
        "CELERY_WORKER_PREFETCH_MULTIPLIER must be 1",
    ),
    Fault(
        "endpoint without a schema",
        "check-schema",
        "config/urls.py",
        "\nfrom rest_framework.views import APIView\n\n\n"
        "class Planted(APIView):\n    def get(self, request):\n        pass\n\n\n"
        'urlpatterns.append(path("api/planted", Planted.as_view()))\n',
        "Planted",
    ),
    Fault(
        "schema that is not OpenAPI",
        "check-schema",
        "config/settings.py",
        "\nSPECTACULAR_SETTINGS |= {\n"
        '    "APPEND_COMPONENTS": {"securitySchemes": {"Planted": {"type": "nonsense"}}}\n}\n',
        "nonsense",
    ),
    Fault(
        "table of settings that says something else",
        "check-settings",
        "docs/settings.md",
        "planted\n",
        "docs/settings.md is not what",
    ),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the checks look at, with the environment of the original."""
    copy = tmp_path / "tree"
    copy.mkdir()
    for name in NEEDED:
        if (BASE_DIR / name).is_dir():
            shutil.copytree(BASE_DIR / name, copy / name)
    for name in NEEDED_FILES:
        shutil.copy2(BASE_DIR / name, copy)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture
def run(tree: Path) -> Run:
    """Runs a command in the copy, as if from a fresh shell: neither make nor coverage above it."""
    outer = ("MAKE", "MFLAGS", "COV_", "COVERAGE_", "PYTEST_", "TEST_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(outer)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=tree, env=env, text=True, capture_output=True, check=False
        )

    return run


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_check_names_the_planted_fault(fault: Fault, tree: Path, run: Run) -> None:
    path = tree / fault.path
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(fault.text)

    checked = run("make", "--assume-old=.venv/.dev", fault.target)

    assert checked.returncode != 0
    assert fault.said in checked.stdout + checked.stderr


def test_every_check_has_its_fault() -> None:
    makefile = (BASE_DIR / "Makefile").read_text()
    [line] = [line for line in makefile.splitlines() if line.startswith("check:")]
    checks = line.partition("##")[0].split()[1:]

    assert set(checks) == {fault.target for fault in FAULTS}


@pytest.mark.parametrize("lacking", ["lines", "branches"])
def test_coverage_gate_wants_lines_and_branches(lacking: str, tree: Path, run: Run) -> None:
    percent = {"lines": 90.0, "branches": 90.0, lacking: 89.9}
    totals = {
        "percent_statements_covered": percent["lines"],
        "percent_branches_covered": percent["branches"],
    }
    (tree / "report.json").write_text(json.dumps({"totals": totals, "files": {}}))

    gate = run(sys.executable, ".ci/coverage_gate.py", "report.json")

    assert gate.returncode == 1
    assert f"coverage of {lacking}: 89.9 %" in gate.stdout


def test_test_run_fails_for_warnings_and_for_skips_without_a_need(tree: Path, run: Run) -> None:
    planted = {
        "skips": 'import pytest\ndef test_skips():\n    pytest.skip("later")\n',
        "warns": 'import warnings\ndef test_warns():\n    warnings.warn("planted")\n',
        "absent": 'import pytest\npytest.importorskip("planted_module")\n',
    }
    for name, body in planted.items():
        (tree / f"test_{name}.py").write_text(body)
    pytest_run = (sys.executable, "-m", "pytest", "--fail-on-skip")

    everything = run(*pytest_run, *(f"test_{name}.py" for name in planted))
    only_skips = run(*pytest_run, "test_skips.py")

    assert "FAILED test_warns.py::test_warns - UserWarning: planted" in everything.stdout
    assert "test_absent.py: Skipped: could not import 'planted_module'" in everything.stdout
    assert "test_skips.py::test_skips: Skipped: later" in only_skips.stdout
    assert only_skips.returncode == pytest.ExitCode.TESTS_FAILED
