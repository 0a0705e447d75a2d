"""The states of jobs and files, and what a job's counts mean for its state: pure data and rules."""

from collections.abc import Mapping
from enum import StrEnum

from apps.queue import states as queue_states


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_STATES = tuple(map(str, JobState))
OPEN = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING})
CLOSED = frozenset(JobState) - OPEN

JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.CANCELLING,
            JobState.SUCCEEDED,
            JobState.PARTIAL,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.CANCELLING: frozenset(
        {JobState.CANCELLED, JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED}
    ),
    # A user's retry opens a new run.
    JobState.SUCCEEDED: frozenset(),
    JobState.PARTIAL: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}

REJECTED = "rejected"
"""A file that was refused at the door: a row with its reason, terminal from birth."""

FILE_TRANSITIONS: dict[str, frozenset[str]] = {
    **{str(state): frozenset(map(str, to)) for state, to in queue_states.TRANSITIONS.items()},
    REJECTED: frozenset(),
}
FILE_STATES = tuple(FILE_TRANSITIONS)

COUNTED = ("succeeded", "failed", "quarantined", "cancelled", REJECTED)
"""The terminal file states that a job keeps a counter of."""


def outcome(counts: Mapping[str, int], total: int) -> JobState | None:
    """The closed state of a job whose files ended as `counts` (state -> files); None when some
    have not ended."""
    if sum(counts[state] for state in COUNTED) < total:
        return None
    if counts["cancelled"]:
        return JobState.CANCELLED
    if counts["succeeded"] == total:
        return JobState.SUCCEEDED
    return JobState.PARTIAL if counts["succeeded"] else JobState.FAILED
