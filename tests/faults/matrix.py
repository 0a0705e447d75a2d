"""Which fault at which point, on which database: the cells, and why some make no sense."""

import os
from dataclasses import dataclass

from tests.faults.points import POINTS
from tests.faults.strikes import FAULTS

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
"""What Django calls each -> what people do."""


@dataclass(frozen=True)
class Cell:
    point: str
    fault: str

    def __str__(self) -> str:
        return f"{self.point}-{self.fault}"


def why_not(cell: Cell, database: str) -> str:
    """Why the cell makes no sense on `database`; empty when it does."""
    point = POINTS[cell.point]
    is_one = point.actor != "worker"
    is_sqlite = database == "sqlite"
    reasons = {
        "who submits or deletes has no parsing child": is_one and cell.fault == "kill_child",
        "who submits or deletes is one process: see `kill_all`": is_one
        and cell.fault == "kill_slot",
        "a deletion has nothing to do with Redis": point.actor == "deleter"
        and cell.fault.startswith("redis"),
        "SQLite has no connection that could be cut": is_sqlite and cell.fault == "database_cut",
        "SQLite has no server: see `database_locked`": is_sqlite
        and cell.fault == "database_restart",
        "PostgreSQL locks rows: see `database_restart`": not is_sqlite
        and cell.fault == "database_locked",
        "the held process has the lock itself": point.is_locked
        and is_sqlite
        and cell.fault == "database_locked",
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


ALL = tuple(Cell(point, fault) for point in POINTS for fault in FAULTS)

SAMPLE = tuple(
    Cell(*pair.split())
    for pair in """
    after_blob    kill_all
    after_blob    disk_full
    after_rows    stop
    after_rows    database_cut
    after_commit  kill_all
    after_commit  redis_frozen
    in_claim      kill_slot
    in_claim      database_cut
    after_claim   kill_all
    after_claim   redis_wiped
    mid_parse     kill_child
    mid_parse     database_restart
    mid_parse     database_locked
    mid_parse     redis_half_open
    after_checkpoint kill_slot
    before_settle stop
    after_result  redis_killed
    after_claim   database_locked
    before_keep   kill_all
    in_settle     database_cut
    in_settle     kill_slot
    in_settle     disk_full
    before_follow_up kill_all
    after_settle  kill_slot
    mid_cleanup   kill_all
    """.strip().splitlines()
)
"""What every run plays, shared out over the two databases: each point and each fault at least
once."""


def cells(database: str) -> list[Cell]:
    """Those that a run plays: all with FAULTS=all in the environment, else a part of the sample."""
    chosen = ALL if os.environ.get("FAULTS") == "all" else _share(database)
    return [cell for cell in chosen if not why_not(cell, database)]


def _share(database: str) -> list[Cell]:
    """Every other cell, and those that make no sense on the other database."""
    other = next(each for each in DATABASES if each != database)
    mine = list(DATABASES).index(database)
    return [c for number, c in enumerate(SAMPLE) if number % 2 == mine or why_not(c, other)]
