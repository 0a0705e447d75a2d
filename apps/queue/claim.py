"""Taking the best row of a lane: one conditional UPDATE that also looks at pauses and caps.

Written as SQL, because states as literals let both databases use the partial index of ready rows,
and because a claim is on the way of every file.
"""

import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.queue.handlers import Handler, handler_classes
from apps.queue.models import Lane, LeasedRow, Pause
from apps.queue.states import READY, State

CLOCK = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
"""The database's own, by vendor, as Django's `Now` has it."""
LATER = {
    "postgresql": "STATEMENT_TIMESTAMP() + MAKE_INTERVAL(secs => %(seconds)s)",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '+' || %(seconds)s || ' seconds')",
}
LOCK = {"postgresql": "FOR UPDATE OF f SKIP LOCKED", "sqlite": ""}
"""SQLite's transaction has the only write lock already."""
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
        "token": _stored(token),
        "worker": _stored(worker_id),
        "seconds": settings.LEASE_SECONDS,
    }
    taken: list[LeasedRow] = list(handler.model.objects.raw(_taking(handler), given))
    if not taken:
        return None
    [row] = taken
    handler.attempt_model.objects.create(
        row=row,
        run=row.run,
        number=row.attempts,
        lease_token=token,
        worker_id=worker_id,
        lane=lane,
    )
    handler.claimed(row)
    return row


def _parameters(lane: str) -> dict[str, Any]:
    return {"lane": lane, "limit": settings.QUEUE_LANES[lane]}


def _stored(value: uuid.UUID) -> Any:
    """A UUID as this database has it."""
    return value if connection.features.has_native_uuid_field else value.hex


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
        AND f.available_at <= {CLOCK[connection.vendor]}
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
