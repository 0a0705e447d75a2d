"""Rows that workers lease, what is known of lanes and workers, and when recurring work last ran."""

from apps.queue.models.lanes import Board, FairShare, Lane, Pause, PauseQuerySet
from apps.queue.models.rows import (
    PRIORITIES,
    Attempt,
    LeasedRow,
    LeasedRowQuerySet,
    OfRequest,
    Priority,
    in_seconds,
    in_states,
)
from apps.queue.models.work_items import WorkAttempt, WorkItem
from apps.queue.models.workers import (
    RUN_LEASE,
    SET_BACK,
    PeriodicRun,
    PeriodicRunQuerySet,
    Throughput,
    WorkerNode,
)

__all__ = [
    "PRIORITIES",
    "RUN_LEASE",
    "SET_BACK",
    "Attempt",
    "Board",
    "FairShare",
    "Lane",
    "LeasedRow",
    "LeasedRowQuerySet",
    "OfRequest",
    "Pause",
    "PauseQuerySet",
    "PeriodicRun",
    "PeriodicRunQuerySet",
    "Priority",
    "Throughput",
    "WorkAttempt",
    "WorkItem",
    "WorkerNode",
    "in_seconds",
    "in_states",
]
