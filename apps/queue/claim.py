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
IN_LINE = "ORDER BY f.priority, f.fair_rank, f.id LIMIT 1"
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
        if not handler.is_on():
            continue
        row = _claim_of(handler, lane, worker_id, looks_first=looks_first)
        if row is not None:
            return handler, row
    return None


Place = dict[str, Any]
"""In line, as parameters of a statement; empty for the front of the line."""


def _claim_of(
    handler: type[Handler], lane: str, worker_id: uuid.UUID, *, looks_first: bool
) -> LeasedRow | None:
    """While nobody is held back, the best row is the first. Where somebody is, what they have
    waiting may fill the line, and every claim would read it through: so it is looked up how far
    that goes. Whatever changes after the look, the claim looks at pauses and caps itself."""
    looked = _looked_up(_looking(handler), lane) if looks_first else (False,)
    if looked is None:
        return None
    [is_held] = looked
    if not is_held:
        row = _claim_one(handler, lane, worker_id, {})
        if row is not None:
            return row
    place = _looked_up(_first(handler), lane)
    if place is None:
        return None
    named = dict(zip(("priority", "fair_rank", "id"), place, strict=True))
    return _claim_one(handler, lane, worker_id, named)


def _looked_up(statement: str, lane: str) -> tuple[Any, ...] | None:
    """Its row, or None."""
    with connection.cursor() as cursor:
        cursor.execute(statement, _parameters(lane))
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found


@transaction.atomic
def _claim_one(
    handler: type[Handler], lane: str, worker_id: uuid.UUID, place: Place
) -> LeasedRow | None:
    """The first that may start from `place` on; at the front of the line only while nobody is held
    back."""
    token = uuid.uuid4()
    given = _parameters(lane) | {
        "token": stored(token),
        "worker": stored(worker_id),
        "seconds": settings.LEASE_SECONDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_taking(handler, at_front=not place), given | place)
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
    return {
        "lane": lane,
        "limit": settings.QUEUE_LANES[lane],
        "each": settings.QUEUE_LANES_EACH.get(lane),
    }


def stored(value: uuid.UUID | None) -> Any:
    """A UUID as this database has it."""
    return value if value is None or connection.features.has_native_uuid_field else value.hex


def _looking(handler: type[Handler]) -> str:
    """The statement that says whether somebody is held back, in one row, or none where nothing of
    the lane may start at all; takes `_parameters`. In order, or PostgreSQL reads the table from its
    beginning, where what has ended lies."""
    table = handler.model._meta.db_table
    is_open = f"AND NOT EXISTS ({_pauses('p.organization_id IS NULL')})"
    return f"""
        SELECT {_is_somebody_held(handler)}
        WHERE (SELECT f.id FROM {table} f WHERE {_is_due()} {IN_LINE}) IS NOT NULL
        AND {_has_place()}
        {is_open if handler.is_pausable else ""}"""  # noqa: S608  (our own names)


def _first(handler: type[Handler]) -> str:
    """The statement that finds the best row's place among the first rows of each organization;
    takes `_parameters`.

    It goes from one organization to the next by an index. All that the index has is in the order,
    or PostgreSQL may take another and read what has ended; and no table is joined, or SQLite reads
    all of it for a filter. Tables with rows of nobody are short, and read through.
    """
    table = handler.model._meta.db_table
    best = f"SELECT f.priority, f.fair_rank, f.id FROM {table} f WHERE {_may_start(handler)}"  # noqa: S608  (our own names)
    if handler.model._meta.get_field("organization").null:
        return f"{best} AND {_is_due()} {IN_LINE}"
    in_order = "ORDER BY f.organization_id, f.priority, f.fair_rank, f.id LIMIT 1"
    last = f"(SELECT organization_id FROM {table} WHERE id = firsts.id)"  # noqa: S608  (our own names)
    return f"""
        WITH RECURSIVE firsts(id) AS (
            SELECT * FROM (SELECT f.id FROM {table} f WHERE {_is_due()} {in_order}) AS one
            UNION ALL
            SELECT (
                SELECT f.id FROM {table} f
                WHERE {_is_due()} AND f.organization_id > {last} {in_order})
            FROM firsts WHERE firsts.id IS NOT NULL)
        {best} AND f.id IN (SELECT id FROM firsts) {IN_LINE}"""  # noqa: S608  (our own names)


def _taking(handler: type[Handler], *, at_front: bool) -> str:
    """The statement that claims; takes `_parameters`, token, worker and seconds, and a place unless
    `at_front`. What concerns the lane stands in its name: SQLite looks at no row then, where it is
    not so."""
    vendor = connection.vendor
    table = handler.model._meta.db_table
    columns = ", ".join(str(field.column) for field in handler.model._meta.concrete_fields)
    if at_front:
        is_open = f"{_has_place()} AND NOT ({_is_somebody_held(handler)})"
        best = ""
    else:
        is_open = _has_place()
        place = "(%(priority)s, %(fair_rank)s, %(id)s)"
        best = f"AND {_may_start(handler)} AND (f.priority, f.fair_rank, f.id) >= {place}"
    return f"""
        WITH best AS {"MATERIALIZED" if vendor == "postgresql" else ""} (
            SELECT f.id FROM {table} f
            WHERE {_is_due(f"(SELECT %(lane)s WHERE {is_open})")} {best}
            {IN_LINE} {LOCK[vendor]})
        UPDATE {table} SET
            state = '{State.RUNNING}', attempts = attempts + 1, stage = '',
            lease_token = %(token)s, lease_expires_at = {LATER[vendor]}, worker_id = %(worker)s,
            started_at = COALESCE(started_at, {CLOCK[vendor]})
        WHERE id IN (SELECT id FROM best) AND {IS_READY} AND NOT is_held
        RETURNING {columns}"""  # noqa: S608  (our own names)


def _is_due(lane: str = "%(lane)s") -> str:
    """`f` waits in the lane, nobody holds it back by itself, and its time has come."""
    return (
        f"f.lane = {lane} AND f.{IS_READY} AND NOT f.is_held"
        f" AND f.available_at <= {DUE[connection.vendor]}"
    )


def _has_place() -> str:
    """The lane is below its cap."""
    running = " + ".join(_running(each) for each in handler_classes())
    return f"""{running} < COALESCE(
            (SELECT max_running FROM {Lane._meta.db_table} WHERE name = %(lane)s), %(limit)s)"""  # noqa: S608  (our own names)


def _running(handler: type[Handler]) -> str:
    table = handler.model._meta.db_table
    return f"(SELECT COUNT(*) FROM {table} WHERE {_IS_RUNNING})"  # noqa: S608  (our own names)


def _is_somebody_held(handler: type[Handler]) -> str:
    """Some organization must start nothing now, or all must."""
    is_full = f"EXISTS ({_full(handler)})"
    return f"{is_full} OR EXISTS ({_pauses()})" if handler.is_pausable else is_full


def _may_start(handler: type[Handler]) -> str:
    """No cap and no pause holds the organization of `f` back. A value, not a join: PostgreSQL knows
    how many rows are of one that is paused, expects to read them all, and would not go by the index
    any more."""
    below = f"(f.organization_id IS NULL OR f.organization_id NOT IN ({_full(handler)}))"
    its = _pauses("(p.organization_id IS NULL OR p.organization_id = f.organization_id)")
    return f"{below} AND ({its} LIMIT 1) IS NULL" if handler.is_pausable else below


def _full(handler: type[Handler]) -> str:
    """The organizations that are at the lane's cap for each."""
    table, lanes = handler.model._meta.db_table, Lane._meta.db_table
    return f"""
        SELECT organization_id FROM {table}
        WHERE {_IS_RUNNING} AND organization_id IS NOT NULL
        GROUP BY organization_id HAVING COUNT(*) >= COALESCE(
            (SELECT max_running_per_organization FROM {lanes} WHERE name = %(lane)s), %(each)s)"""  # noqa: S608  (our own names)


def _pauses(condition: str = "TRUE") -> str:
    """The lane's pauses `p` that are in force."""
    return f"""
        SELECT 1 FROM {Pause._meta.db_table} p
        WHERE (p.until IS NULL OR p.until > {CLOCK[connection.vendor]})
        AND (p.lane = '' OR p.lane = %(lane)s) AND {condition}"""  # noqa: S608  (our own names)
