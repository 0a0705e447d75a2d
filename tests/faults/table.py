"""The matrix as a page of documentation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.matrix import DATABASES, Cell, why_not
from tests.faults.points import POINTS
from tests.faults.strikes import FAULTS
from tests.processes import BASE_DIR

PAGE = BASE_DIR / "docs" / "faults.md"
PASSED, FAILED, MISSING = "pass", "**failed**", "**not played**"
INTRODUCTION = """\
# The matrix of faults

Written by `make faults`, which plays every cell with real processes, a real Valkey and a real
database. A process is held at a point and struck there. Afterwards everything has to hold: each
acknowledged file ends once and has one result; counters say what the rows say; each job is closed
once; no lease, no process and no byte is left over, and none is missing. `make test` plays a
sample: each point and each fault at least once.
"""


def outcomes(report: Path) -> dict[str, str]:
    """Cell -> outcome, from pytest's JUnit XML."""
    cells = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name, _, cell = case.get("name", "").removesuffix("]").partition("[")
        if name == "test_cell":
            failed = any(case.find(tag) is not None for tag in ("failure", "error"))
            cells[cell] = FAILED if failed else PASSED
    return cells


def page(*results: Mapping[str, str]) -> str:
    """`results`: cell -> outcome, for each of the databases."""
    parts, reasons = [INTRODUCTION], list[str]()
    for database, cells in zip(DATABASES, results, strict=True):
        rows = [
            [
                f"`{point}`",
                *(_outcome(Cell(point, fault), database, cells, reasons) for fault in FAULTS),
            ]
            for point in POINTS
        ]
        table = _table(["", *(f"`{fault}`" for fault in FAULTS)], rows)
        parts.append(f"## {DATABASES[database]}\n\n{table}")
    parts.append("Not applicable (n/a), because\n")
    parts[-1] += "".join(f"\n{number}. {reason}" for number, reason in enumerate(reasons, start=1))
    parts.append("## Points\n\n" + _table(["", "held", "where"], _points()))
    parts.append("## Faults\n\n" + _table(["", "what happens"], _faults()))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def is_complete(text: str) -> bool:
    """Whether every cell of the page was played and passed."""
    return FAILED not in text and MISSING not in text


def _outcome(cell: Cell, database: str, cells: Mapping[str, str], reasons: list[str]) -> str:
    reason = why_not(cell, database)
    if not reason:
        return cells.get(str(cell), MISSING)
    if reason not in reasons:
        reasons.append(reason)
    return f"n/a {reasons.index(reason) + 1}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _points() -> list[list[str]]:
    return [[f"`{name}`", point.actor, point.told] for name, point in POINTS.items()]


def _faults() -> list[list[str]]:
    return [[f"`{name}`", _told(fault.strike)] for name, fault in FAULTS.items()]


def _told(strike: Callable[..., object]) -> str:
    return " ".join((strike.__doc__ or "").split())
