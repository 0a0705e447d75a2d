"""A ledger that the database keeps of itself: every committed change of a state, by trigger.

So "closed exactly once" is not asked of the code that closes.
"""

from collections import Counter
from dataclasses import dataclass

from django.db import connection

from apps.jobs.states import CLOSED, FILE_TRANSITIONS, JOB_TRANSITIONS

WATCHED = (
    # table, on what, the row's id, its run, old state, new state
    ("jobs_batchjob", "UPDATE OF state", "NEW.id", "NEW.run", "OLD.state", "NEW.state"),
    ("jobs_batchfile", "UPDATE OF state", "NEW.id", "NEW.run", "OLD.state", "NEW.state"),
    ("jobs_fileresult", "INSERT", "NEW.file_id", "NEW.run", "''", "'made'"),
    ("queue_periodicrun", "UPDATE OF runs", "NEW.name", "0", "OLD.runs", "NEW.runs"),
)


@dataclass(frozen=True)
class Entry:
    table: str
    row: str
    run: int
    old: str
    new: str


def open_ledger() -> None:
    """Begins to write down what happens in this database."""
    close_ledger()
    _execute("CREATE TABLE fault_ledger (source text, line text, run integer, old text, new text)")
    for table, event, *columns in WATCHED:
        _execute(*_trigger(table, event, ", ".join(columns)))


def close_ledger() -> None:
    for table, *_ in WATCHED:
        _execute(_dropping(f"fault_ledger_{table}", table))
    _execute("DROP TABLE IF EXISTS fault_ledger")


def entries() -> list[Entry]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT source, line, run, old, new FROM fault_ledger")
        return [Entry(*row) for row in cursor.fetchall()]


def check_ledger() -> None:
    """No move that the tables of states do not know; nothing ended twice in one run; no recurring
    work ran twice for one of its due times."""
    told = entries()
    for entry in told:
        moves = {"jobs_batchjob": JOB_TRANSITIONS, "jobs_batchfile": FILE_TRANSITIONS}
        if (known := moves.get(entry.table)) and entry.old != entry.new:
            assert entry.new in map(str, known[entry.old]), entry
    ends = Counter((e.table, e.row, e.run, e.new) for e in told if _is_end(e))
    assert not [end for end, count in ends.items() if count > 1]


def _is_end(entry: Entry) -> bool:
    if entry.table in ("jobs_fileresult", "queue_periodicrun"):
        return True
    return entry.old != entry.new and entry.new in {*CLOSED, "quarantined"}


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _trigger(table: str, event: str, columns: str) -> list[str]:
    name = f"fault_ledger_{table}"
    write = f"INSERT INTO fault_ledger VALUES ('{table}', {columns});"
    if connection.vendor == "sqlite":
        return [f"CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN {write} END"]
    body = f"BEGIN {write} RETURN NULL; END"
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
        f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _dropping(name: str, table: str) -> str:
    on = "" if connection.vendor == "sqlite" else f" ON {table}"
    return f"DROP TRIGGER IF EXISTS {name}{on}"
