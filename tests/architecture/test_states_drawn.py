"""docs/reliability.md draws the tables of states as they are."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from apps.jobs.states import FILE_TRANSITIONS, JOB_TRANSITIONS

pytestmark = pytest.mark.once

PAGE = Path(__file__).resolve().parents[2] / "docs/reliability.md"


def drawn(table: Mapping[str, frozenset[str]]) -> str:
    """A row for each state in the table's order, with those that it leads to."""
    order = list(map(str, table))
    lines = ["| from | to |", "|---|---|"]
    for state, to in table.items():
        told = ", ".join(f"`{each}`" for each in order if each in set(map(str, to)))
        lines.append(f"| `{state}` | {told or 'nowhere: it has ended for good'} |")
    return "\n".join(lines)


def test_the_states_of_files_are_drawn() -> None:
    assert drawn(FILE_TRANSITIONS) in PAGE.read_text()


def test_the_states_of_jobs_are_drawn() -> None:
    assert drawn(JOB_TRANSITIONS) in PAGE.read_text()
