"""A slot: claims the best row of a lane, runs it under a kept lease, settles it, and again."""

import logging
import os
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now

from apps.core import context, tracing
from apps.queue import drain, runlog
from apps.queue.claim import claim
from apps.queue.doorbell import ring
from apps.queue.handlers import Control, Handler, Output, RunFailed, RunStopped
from apps.queue.lease import LeaseKeeper, close_watch
from apps.queue.metrics import RUN_SECONDS, WAIT_SECONDS
from apps.queue.models import LeasedRow, WorkerNode
from apps.queue.retry import Failure, FailureClass
from apps.queue.settle import fail, succeed

logger = logging.getLogger(__name__)

ROUND_SECONDS = 60
ROUND_ROWS = 50
"""After this much a slot rings for itself and returns, so that Celery can replace its process and
other lanes get their turn."""
DATABASE_AWAY = (OperationalError, InterfaceError)
DATABASE_RETRY_SECONDS = 0.5

worker_id = uuid.uuid4()
"""This worker since its start; pool processes inherit it by fork."""
_slot = threading.local()


def register(lanes: list[str], slots: int) -> None:
    """Writes this worker's row; called again, says that it is alive."""
    WorkerNode.objects.update_or_create(
        id=worker_id,
        defaults={"seen_at": Now()},
        create_defaults={
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "lanes": lanes,
            "slots": slots,
            "version": settings.VERSION,
            "seen_at": Now(),
        },
    )


def see_tables() -> None:
    """Raises DatabaseError where the database was never migrated; one that is away comes back."""
    try:
        WorkerNode.objects.exists()
    except DATABASE_AWAY as error:
        if "no such table" in str(error):  # of SQLite
            raise
    connection.close()  # none is inherited by what is forked


def unregister() -> None:
    """Removes this worker's row."""
    WorkerNode.objects.filter(id=worker_id).delete()


def work_off(lane: str) -> int:
    """Works until `lane` has nothing to claim or the round is over; how many rows it ran."""
    started, done = time.monotonic(), 0
    while done < ROUND_ROWS and time.monotonic() - started < ROUND_SECONDS:
        if drain.began_at():
            return done
        claimed = claim(lane, worker_id, looks_first=not done)
        if claimed is None:
            return done
        _note_wait(claimed[1])
        run_claimed(*claimed)
        done += 1
    ring(lane, 1)
    return done


def close_slot() -> None:
    """Frees what this thread's handlers hold (their child processes), and ends its helper."""
    close_watch()
    for handler in getattr(_slot, "handlers", {}).values():
        handler.close()
    _slot.handlers = {}


def run_claimed(kind: type[Handler], row: LeasedRow) -> None:
    """Runs `row` and settles it. Whatever happens in the run, the slot lives on."""
    handler, facts, began = _handler_of_slot(kind), kind.facts(row), time.monotonic()
    with (
        context.bound(request_id=row.request_id, organization=_id(row.organization_id), **facts),
        tracing.span("run", parent=row.traceparent, attempt=row.attempts, lane=row.lane, **facts),
        runlog.run_of(kind, row, worker_id) as run,
        LeaseKeeper(kind, row) as keeper,
    ):
        run.outcome = outcome = _outcome(handler, row, keeper)
        if keeper.is_lost:
            logger.warning("row %s: stopped, its lease was lost", row.pk)
            return
        # Still under the kept lease: while the database is away, nobody else takes the row.
        run.is_settled = _patiently(keeper, lambda: _settle(kind, row, outcome))
    RUN_SECONDS.labels(row.lane).observe(time.monotonic() - began)


def _note_wait(row: LeasedRow) -> None:
    """By the database's clock alone: the lease began with the claim."""
    assert row.lease_expires_at is not None
    waited = (row.lease_expires_at - row.available_at).total_seconds() - settings.LEASE_SECONDS
    WAIT_SECONDS.labels(row.lane).observe(max(0.0, waited))


def _id(pk: object) -> str:
    return "" if pk is None else str(pk)


def _handler_of_slot(kind: type[Handler]) -> Handler:
    handlers = _slot.__dict__.setdefault("handlers", {})
    if kind not in handlers:
        handlers[kind] = kind()
    handler: Handler = handlers[kind]
    return handler


def _outcome(handler: Handler, row: LeasedRow, keeper: LeaseKeeper) -> Output | Failure:
    grace = settings.SHUTDOWN_GRACE_SECONDS
    control = Control(
        report=keeper.report,
        should_stop=lambda: keeper.should_stop() or drain.is_over(grace),
    )
    try:
        return handler.run(row, control)
    except RunFailed as failed:
        return failed.failure
    except RunStopped:
        return Failure(
            FailureClass.INTERRUPTED, "queue.interrupted", "The worker was asked to stop."
        )
    except Exception as error:  # a bug of ours must cost one run, not the slot
        logger.exception("row %s: unhandled error", row.pk)
        return _failure_of(error)


def _failure_of(error: Exception) -> Failure:
    """What an error that nobody turned into a Failure means for the row."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, DATABASE_AWAY):
        detail = "The database did not answer."
        return Failure(FailureClass.INFRA, "queue.database", detail, traceback=trace)
    if isinstance(error, OSError):
        detail = f"Storage failed: {error.strerror or error}."
        return Failure(FailureClass.INFRA, "queue.storage", detail, traceback=trace)
    detail = "Something went wrong on our side."
    return Failure(FailureClass.TRANSIENT, "queue.error", detail, traceback=trace)


def _settle(kind: type[Handler], row: LeasedRow, outcome: Output | Failure) -> bool:
    """Settles; a result that cannot be stored becomes a failure. Raises only DATABASE_AWAY."""
    try:
        if isinstance(outcome, Output):
            return succeed(kind, row, outcome)
        return fail(kind, row, outcome)
    except DATABASE_AWAY:
        raise
    except Exception as error:  # the row must not stay running because of it
        logger.exception("row %s: its outcome cannot be stored", row.pk)
        return fail(kind, row, _failure_of(error))


def _patiently(keeper: LeaseKeeper, write: Callable[[], bool]) -> bool:
    """Repeats `write` while the database is away and the lease holds; what it said."""
    while not keeper.is_lost:
        try:
            return write()
        except DATABASE_AWAY as error:
            logger.warning("database away while settling (%s); trying again", error)
            connection.close()
            time.sleep(DATABASE_RETRY_SECONDS)
    return False
