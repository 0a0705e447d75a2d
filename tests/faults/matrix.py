"""Which fault at which point, on which database: the cells, and why some make no sense."""

import os
from dataclasses import dataclass

from tests.faults.points import POINTS
from tests.faults.strikes import FAULTS

DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Cell:
    point: str
    fault: str

    def __str__(self) -> str:
        return f"{self.point}-{self.fault}"


def why_not(cell: Cell, database: str) -> str:
    """Why the cell makes no sense on `database`; empty when it does."""
    point = POINTS[cell.point]
    by_itself = point.actor != "worker"
    reasons = {
        f"a {point.actor} has no parsing child": by_itself and cell.fault == "kill_child",
        f"a {point.actor} is one process: kill_all": by_itself and cell.fault == "kill_slot",
        "deleting rings for nobody": point.actor == "deleter" and cell.fault.startswith("redis"),
        "SQLite has no connections to cut": database == "sqlite" and cell.fault == "database_cut",
        "SQLite has no server to restart: database_locked": (
            database == "sqlite" and cell.fault == "database_restart"
        ),
        "PostgreSQL has no such lock: database_restart": (
            database == "postgresql" and cell.fault == "database_locked"
        ),
        "the held process has the lock itself": (
            point.is_locked and database == "sqlite" and cell.fault == "database_locked"
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


ALL = tuple(Cell(point, fault) for point in POINTS for fault in FAULTS)

SAMPLE = (
    Cell("after_blob", "kill_all"),
    Cell("after_claim", "kill_slot"),
    Cell("mid_parse", "kill_child"),
    Cell("after_result", "stop"),
    Cell("in_settle", "kill_all"),
    Cell("after_commit", "redis_killed"),
)


def cells(database: str) -> list[Cell]:
    """Those that a run plays: all with FAULTS=all in the environment, else the sample."""
    chosen = ALL if os.environ.get("FAULTS") == "all" else SAMPLE
    return [cell for cell in chosen if not why_not(cell, database)]
