"""The states of a leased row and the moves between them, as data."""

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    RETRY_WAIT = "retry_wait"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


READY = frozenset({State.QUEUED, State.RETRY_WAIT})
"""States from which a row is claimed once `available_at` has come."""

TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RETRY_WAIT: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset(
        {
            State.SUCCEEDED,
            State.RETRY_WAIT,
            State.QUEUED,  # interrupted, lost, crashed once, or moved to the heavy lane
            State.FAILED,
            State.QUARANTINED,
            State.CANCELLED,
        }
    ),
    # One-way: only a user's retry or requeue opens a new run.
    State.SUCCEEDED: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
    State.QUARANTINED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}

UNFINISHED = READY | {State.RUNNING}
FINISHED = frozenset(TRANSITIONS) - UNFINISHED
