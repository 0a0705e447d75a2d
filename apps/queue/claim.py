"""Taking the best row of a lane: one conditional UPDATE that also looks at pauses and caps.

Written as SQL, because states as literals let both databases use the partial index of ready rows,
and because a claim is on the way of every file.
"""

import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.queue.handlers import Handler, handler_classes
from apps.queue.models import Attempt, Lane, LeasedRow, Pause
from apps.queue.states import READY, State

CLOCK = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
"""The database's own, by vendor, as Django's `Now` has it."""
DUE = CLOCK | {"sqlite": f"{CLOCK['sqlite']} || '999'"}
"""Until the end of this millisecond: what was stored in it has three more digits, and is a text."""
LATER = {
    "postgresql": "STATEMENT_TIMESTAMP() + MAKE_INTERVAL(secs => %(seconds)s)",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '+' || %(seconds)s || ' seconds')",
}
LOCK = {"postgresql": "FOR NO KEY UPDATE OF f SKIP LOCKED", "sqlite": ""}
"""Not against references: who brings a file that waits for this one holds one. SQLite's transaction
has the only write lock already."""
IS_READY = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(READY)))
_IS_RUNNING = f"state = '{State.RUNNING}' AND lane = %(lane)s"


def claim(
    lane: str, worker_id: uuid.UUID, *, looks_first: bool = True
) -> tuple[type[Handler], LeasedRow] | None:
    """The best claimable row of `lane`, now leased to `worker_id`; None when there is nothing.

    "Best" holds within a handler's model; models take turns in the order of the settings. A lane's
    caps are exact on SQLite; on PostgreSQL claimers at the same moment may pass them by their
    number less one. `looks_first` takes no lock where there is nothing, as on most idle lanes.
    """
    for handler in handler_classes():
        if looks_first and not _is_something_ready(handler, lane):
            continue
        row = _claim_one(handler, lane, worker_id)
        if row is not None:
            return handler, row
    return None


def _is_something_ready(handler: type[Handler], lane: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_best(handler, lock=""), _parameters(lane))
        return cursor.fetchone() is not None


@transaction.atomic
def _claim_one(handler: type[Handler], lane: str, worker_id: uuid.UUID) -> LeasedRow | None:
    token = uuid.uuid4()
    given = _parameters(lane) | {
        "token": stored(token),
        "worker": stored(worker_id),
        "seconds": settings.LEASE_SECONDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_taking(handler), given)
        taken = cursor.fetchall()
    if not taken:
        return None
    row = _loaded(handler.model, taken[0])
    _insert(
        handler.attempt_model(
            row_id=row.pk,  # type: ignore[misc]  # of every subclass
            run=row.run,
            number=row.attempts,
            lease_token=token,
            worker_id=worker_id,
            lane=lane,
        )
    )
    handler.claimed(row)
    return row


def _loaded(model: type[LeasedRow], values: Sequence[Any]) -> LeasedRow:
    """The row that `values`, of all columns in order, make: what `raw` does, without its search
    for columns at every call."""
    plain = list(values)
    for place, converters, column in _converters(model, connection.vendor):
        for convert in converters:
            plain[place] = convert(plain[place], column, connection)
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, names, plain)


@lru_cache
def _converters(model: type[LeasedRow], _vendor: str) -> list[tuple[int, list[Any], Any]]:
    """(place, functions, column) of those columns that a driver gives back in another form."""
    found = []
    for place, field in enumerate(model._meta.concrete_fields):
        column = field.get_col(model._meta.db_table)
        own = field.get_db_converters(connection)
        converters = [*connection.ops.get_db_converters(column), *own]
        if converters:
            found.append((place, converters, column))
    return found


def _insert(attempt: Attempt) -> None:
    """Stores a new row. What `create` does, at a tenth of its cost: on the way of every file."""
    fields = attempt._meta.concrete_fields
    columns = ", ".join(str(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    values = [
        field.get_db_prep_save(getattr(attempt, field.attname), connection) for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {attempt._meta.db_table} ({columns}) VALUES ({places})",  # noqa: S608  (our own names)
            values,
        )


def _parameters(lane: str) -> dict[str, Any]:
    return {"lane": lane, "limit": settings.QUEUE_LANES[lane]}


def stored(value: uuid.UUID | None) -> Any:
    """A UUID as this database has it."""
    return value if value is None or connection.features.has_native_uuid_field else value.hex


def _taking(handler: type[Handler]) -> str:
    """The statement that claims; takes `_parameters`, token, worker and seconds."""
    vendor = connection.vendor
    table = handler.model._meta.db_table
    columns = ", ".join(str(field.column) for field in handler.model._meta.concrete_fields)
    return f"""
        WITH best AS {"MATERIALIZED" if vendor == "postgresql" else ""}
            ({_best(handler, lock=LOCK[vendor])})
        UPDATE {table} SET
            state = '{State.RUNNING}', attempts = attempts + 1, stage = '',
            lease_token = %(token)s, lease_expires_at = {LATER[vendor]}, worker_id = %(worker)s,
            started_at = COALESCE(started_at, {CLOCK[vendor]})
        WHERE id IN (SELECT id FROM best) AND {IS_READY} AND NOT is_held
        RETURNING {columns}"""  # noqa: S608  (our own names)


def _best(handler: type[Handler], *, lock: str) -> str:
    """The statement that finds the best row; takes `_parameters`."""
    table, lanes = handler.model._meta.db_table, Lane._meta.db_table
    running = " + ".join(_running(each) for each in handler_classes())
    return f"""
        SELECT f.id FROM {table} f
        WHERE f.lane = %(lane)s AND f.{IS_READY} AND NOT f.is_held
        AND f.available_at <= {DUE[connection.vendor]}
        AND {running} < COALESCE(
            (SELECT max_running FROM {lanes} WHERE name = %(lane)s), %(limit)s)
        AND (f.organization_id IS NULL OR f.organization_id NOT IN ({_full(handler)}))
        {_not_paused() if handler.is_pausable else ""}
        ORDER BY f.priority, f.fair_rank, f.id LIMIT 1 {lock}"""  # noqa: S608  (our own names)


def _running(handler: type[Handler]) -> str:
    table = handler.model._meta.db_table
    return f"(SELECT COUNT(*) FROM {table} WHERE {_IS_RUNNING})"  # noqa: S608  (our own names)


def _full(handler: type[Handler]) -> str:
    """The organizations that are at the lane's cap for each."""
    table, lanes = handler.model._meta.db_table, Lane._meta.db_table
    return f"""
        SELECT organization_id FROM {table}
        WHERE {_IS_RUNNING} AND organization_id IS NOT NULL
        GROUP BY organization_id HAVING COUNT(*) >=
            (SELECT max_running_per_organization FROM {lanes} WHERE name = %(lane)s)"""  # noqa: S608  (our own names)


def _not_paused() -> str:
    return f"""
        AND NOT EXISTS (
            SELECT 1 FROM {Pause._meta.db_table} p
            WHERE (p.until IS NULL OR p.until > {CLOCK[connection.vendor]})
            AND (p.lane = '' OR p.lane = %(lane)s)
            AND (p.organization_id IS NULL OR p.organization_id = f.organization_id))"""  # noqa: S608  (our own names)
