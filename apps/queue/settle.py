"""Moving a row out of running: one transaction, guarded by the lease's token.

Whoever no longer holds the lease changes nothing and is told so by False.
"""

import logging
import random
import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from apps.core import context
from apps.core.metrics import on_commit
from apps.queue.claim import CLOCK, stored
from apps.queue.doorbell import ring_on_commit
from apps.queue.handlers import Handler, Output
from apps.queue.lanes import HEAVY, pause_for
from apps.queue.metrics import ATTEMPTS
from apps.queue.models import LeasedRow, in_seconds
from apps.queue.retry import Failure, FailureClass, Usage, Verdict, decide
from apps.queue.states import READY, State

logger = logging.getLogger(__name__)

LOST = Failure(
    FailureClass.LOST,
    "queue.lost",
    "The worker that had it stopped answering; it was taken back.",
)


LEASE = frozenset({"lease_token", "lease_expires_at", "worker_id"})


def succeed(handler: type[Handler], row: LeasedRow, output: Output) -> bool:
    """Stores `output` and ends the row; a cancel that came first wins."""
    return _settle(handler, row, failure=None, output=output)


def fail(handler: type[Handler], row: LeasedRow, failure: Failure) -> bool:
    """Ends the run with `failure` and does what its class asks for."""
    saved = Output(failure.output, failure.usage) if failure.output is not None else None
    return _settle(handler, row, failure=failure, output=saved)


def take_back(handler: type[Handler], pk: uuid.UUID) -> bool:
    """Takes the row back if its lease has run out (still, under the lock).

    Not if somebody has it locked, such as a worker that froze in a transaction: the sweep must
    not wait for one row while others are lost.
    """
    with transaction.atomic():
        rows = handler.model.objects.select_for_update(skip_locked=True, no_key=True)
        row = rows.lost().filter(pk=pk).first()
        if row is None:
            return False
        with context.bound(request_id=row.request_id, **handler.facts(row)):
            taken = fail(handler, row, LOST)
            logger.warning("attempt %s was lost: the row is %s", row.attempts, row.state)
        return taken


@transaction.atomic
def _settle(
    handler: type[Handler], row: LeasedRow, *, failure: Failure | None, output: Output | None
) -> bool:
    lane = row.lane
    verdict = _moved(handler, row, failure)
    if verdict is None:
        logger.warning("row %s: the lease is gone, the result is dropped", row.pk)
        return False
    _close_attempt(handler, row, verdict, failure, output)
    on_commit(ATTEMPTS, lane, _outcome(verdict), failure.failure_class if failure else "")
    kept = output if verdict.state is State.SUCCEEDED or failure is not None else None
    handler.settled(row, kept)
    if verdict.pauses_lane and failure is not None:
        pause_for(row.lane, seconds=verdict.delay_seconds, reason=failure.detail)
    if verdict.state is State.QUEUED:
        ring_on_commit(row.lane, 1)
    return True


def _moved(handler: type[Handler], row: LeasedRow, failure: Failure | None) -> Verdict | None:
    """Moves the row out of running, in the table and in `row`; None when it is not ours any more.

    A success, which nearly every run is, takes one statement; it fits only while nobody asked for
    a cancel, which comes first.
    """
    if failure is None and _succeeded(handler, row):
        return Verdict(State.SUCCEEDED, row.tally)
    mine = handler.model.objects.filter(pk=row.pk, lease_token=row.lease_token, state=State.RUNNING)
    current = mine.select_for_update(no_key=True).first()
    if current is None:
        return None
    verdict = _verdict(current, failure)
    mine.update(**_note(row, _changes(verdict, failure)))
    return verdict


def _succeeded(handler: type[Handler], row: LeasedRow) -> bool:
    """Written as SQL: on the way of every file. Sets what `_changes` does for a success."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {handler.model._meta.db_table} SET "  # noqa: S608  (our own names)
            f"state = '{State.SUCCEEDED}', progress = 1.0, "
            f"finished_at = {CLOCK[connection.vendor]}, "
            "lease_token = NULL, lease_expires_at = NULL, worker_id = NULL, "
            "error_class = '', error_code = '', error_detail = '' "
            f"WHERE id = %s AND lease_token = %s AND state = '{State.RUNNING}' "
            "AND NOT cancel_requested",
            [stored(row.pk), stored(row.lease_token)],
        )
        if not cursor.rowcount:
            return False
    row.state, row.progress = State.SUCCEEDED, 1.0
    row.error_class = row.error_code = row.error_detail = ""
    return True


def _note(row: LeasedRow, changes: dict[str, Any]) -> dict[str, Any]:
    """Writes into `row` what is going to be in the table, but for its lease (the attempt is found
    by it) and what only the database can tell."""
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression") and name not in LEASE:
            setattr(row, name, value)
    return changes


def _verdict(current: LeasedRow, failure: Failure | None) -> Verdict:
    if current.cancel_requested:
        return Verdict(State.CANCELLED, current.tally)
    if failure is None:
        return Verdict(State.SUCCEEDED, current.tally)
    jitter = random.uniform(-1, 1)  # noqa: S311  spreads retries; nothing secret
    return decide(failure, current.tally, base_seconds=settings.RETRY_BASE_SECONDS, jitter=jitter)


def _changes(verdict: Verdict, failure: Failure | None) -> dict[str, Any]:
    """The columns that the row's transition sets."""
    tally = verdict.tally
    changes: dict[str, Any] = {
        "state": verdict.state,
        "failures": tally.failures,
        "crashes": tally.crashes,
        "losses": tally.losses,
        "is_heavy": tally.is_heavy,
        "lease_token": None,
        "lease_expires_at": None,
        "worker_id": None,
    }
    if tally.is_heavy:
        changes["lane"] = HEAVY
    if verdict.state in READY:
        changes["available_at"] = in_seconds(verdict.delay_seconds)
    else:
        changes["finished_at"] = Now()
        changes["cancel_requested"] = False
    told = failure if verdict.state is not State.CANCELLED else None
    changes["error_class"] = told.failure_class if told else ""
    changes["error_code"] = told.code if told else ""
    changes["error_detail"] = told.detail[:500] if told else ""
    if verdict.state is State.SUCCEEDED:
        changes["progress"] = 1.0
    return changes


def _close_attempt(
    handler: type[Handler],
    row: LeasedRow,
    verdict: Verdict,
    failure: Failure | None,
    output: Output | None,
) -> None:
    usage = failure.usage if failure else output.usage if output else Usage()
    told = {
        "outcome": _outcome(verdict),
        "failure_class": failure.failure_class if failure else "",
        "code": failure.code if failure else "",
        "detail": failure.detail[:500] if failure else "",
        "traceback": failure.traceback if failure else "",
        "stage": row.stage,
        "peak_rss_bytes": usage.peak_rss_bytes,
        "cpu_seconds": usage.cpu_seconds,
    }
    columns = ", ".join(f"{name} = %s" for name in told)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {handler.attempt_model._meta.db_table} SET {columns}, "  # noqa: S608  (our own names)
            f"ended_at = {CLOCK[connection.vendor]} WHERE lease_token = %s",
            [*map(_plain, told.values()), stored(row.lease_token)],
        )


def _outcome(verdict: Verdict) -> str:
    return "retry" if verdict.state in READY else verdict.state


def _plain(value: Any) -> Any:
    """An enumeration's member as the text it is, for drivers that know texts only."""
    return str(value) if isinstance(value, str) else value
