"""The line of each run, at its end: one for every file and every other row that a worker had."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.utils import timezone

from apps.core import tracing
from apps.queue.handlers import Handler, Output
from apps.queue.models import LeasedRow
from apps.queue.retry import Failure, FailureClass
from apps.queue.states import READY, State

logger = structlog.stdlib.get_logger("docmill.runs")

BUG = "processor.error"
EXPECTED = frozenset({FailureClass.INTERRUPTED, FailureClass.RATE_LIMITED, FailureClass.BUDGET})
"""Nobody did anything wrong, and it goes on by itself."""


@dataclass
class Run:
    """What is known of a run. `outcome` is None until it has one; `is_settled`: it counted."""

    outcome: Output | Failure | None = None
    is_settled: bool = False


@contextmanager
def run_of(kind: type[Handler], row: LeasedRow, worker_id: UUID) -> Iterator[Run]:
    """Writes the line of the run of `row` within, unless it did not count: then its end is told by
    others."""
    waited = (timezone.now() - row.available_at).total_seconds()
    began = time.monotonic()
    run = Run()
    yield run
    if not run.is_settled or run.outcome is None:
        return
    outcome = "retry" if row.state in READY else str(row.state)
    fields = {
        "attempt": row.attempts,
        "lane": row.lane,
        "outcome": outcome,
        "wait_seconds": round(max(0.0, waited), 3),
        "run_seconds": round(time.monotonic() - began, 3),
        "worker": str(worker_id),
        **_details(kind, row, run.outcome),
    }
    tracing.note(outcome=outcome)
    logger.log(level_of(row, run.outcome), "run ended", **fields)


def level_of(row: LeasedRow, outcome: Output | Failure) -> int:
    """ERROR for a fault of ours, WARNING for what failed, INFO for the rest."""
    if isinstance(outcome, Output) or row.state == State.CANCELLED:
        return logging.INFO
    if outcome.code == BUG:
        return logging.ERROR
    return logging.INFO if outcome.failure_class in EXPECTED else logging.WARNING


def _details(
    kind: type[Handler], row: LeasedRow, outcome: Output | Failure
) -> dict[str, str | int]:
    if isinstance(outcome, Output):
        return kind.measured(row, outcome)
    why = {"failure_class": str(outcome.failure_class), "code": outcome.code}
    return {**kind.measured(row, None), **why}
