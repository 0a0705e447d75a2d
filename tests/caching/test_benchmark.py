"""The benchmark of the cache runs, and counts what is computed and who waits."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.processes import BASE_DIR

pytestmark = pytest.mark.once

AIMS = ("a hit", "cold for 50 threads", "cold for 4 x 12", "that waited", "values ended", "HTTP")


def test_it_measures_all_it_is_asked_for_in_its_own_servers() -> None:
    of_tests = ("LIMIT", "CACHE", "ENABLE")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.cache", "--quick", "--json"],
        cwd=BASE_DIR,
        env={name: value for name, value in os.environ.items() if not name.startswith(of_tests)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    rows = {row["measured"]: row for row in json.loads(ran.stdout)["rows"]}
    aims = [row for row in rows.values() if row["aim"]]
    for each in AIMS:
        assert each in " ".join([row["measured"] for row in aims])
    assert all(row["met"] is not None for row in aims)
    assert any("a member's role" in measured for measured in rows)
    assert number(rows, "Docmill, cold for 50 threads: computed") == 1
    assert number(rows, "Docmill, cold for 4 x 12: computed") == 1
    # It finds what computes too often, and who waits for what was there.
    assert number(rows, "Django, get_or_set, cold for 50 threads: computed") > 10
    assert number(rows, "Django, get_or_set, fresh for") > 2


def number(rows: dict[str, Any], begins: str) -> float:
    [found] = [row["ratio"] for measured, row in rows.items() if measured.startswith(begins)]
    return float(found)
