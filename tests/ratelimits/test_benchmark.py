"""The benchmark of the limits runs, and counts what passed in a window as it is."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.ratelimits.admissions import most_within
from tests.processes import BASE_DIR

pytestmark = pytest.mark.once


def test_it_measures_all_it_is_asked_for_in_its_own_servers() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.ratelimits", "--quick", "--json"],
        cwd=BASE_DIR,
        env={name: value for name, value in os.environ.items() if not name.startswith("LIMIT")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)["rows"]
    aims = " ".join([row["measured"] for row in rows if row["aim"]])
    for each in ("check", "added to a request", "memory", "8 processes", "window's end"):
        assert each in aims
    assert all(row["met"] is not None for row in rows if row["aim"])
    passed = {row["measured"]: row["ratio"] for row in rows if "passed" in row["measured"]}
    ours = [ratio for measured, ratio in passed.items() if measured.startswith("Docmill")]
    assert ours == [1.0, 1.0]
    assert max(passed.values()) > 1.2  # it finds what lets too much pass


@pytest.mark.parametrize(
    ("moments", "most"),
    [
        ([], 0),
        ([(0.0, 0.1)], 1),
        ([(0.0, 0.1), (0.5, 0.6), (0.9, 1.0)], 3),
        ([(0.0, 0.1), (0.5, 0.6), (0.9, 1.1)], 2),  # the last may have counted too late
        ([(0.0, 0.1), (2.0, 2.1), (2.5, 2.6), (2.9, 3.0), (5.0, 5.1)], 3),
    ],
)
def test_only_what_surely_lies_within_a_window_counts(
    moments: list[tuple[float, float]], most: int
) -> None:
    assert most_within(moments, 1.0) == most
