"""The states of jobs and files, and what a job's counts mean for its state: pure data and rules."""

from collections.abc import Mapping
from enum import StrEnum

from apps.queue import states as queue_states


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_STATES = tuple(map(str, JobState))
OPEN = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.CANCELLING})
CLOSED = frozenset(JobState) - OPEN

_ENDS = frozenset({JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED})

JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    # It ends without having run when all it holds was read before, or when it is cancelled.
    JobState.QUEUED: _ENDS | {JobState.RUNNING, JobState.PAUSED, JobState.CANCELLING},
    JobState.RUNNING: _ENDS | {JobState.PAUSED, JobState.CANCELLING},
    # What ran when it was paused goes on, and may be the last of it.
    JobState.PAUSED: _ENDS | {JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING},
    JobState.CANCELLING: _ENDS,
    # A user's retry opens a new run.
    JobState.SUCCEEDED: frozenset({JobState.QUEUED}),
    JobState.PARTIAL: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}

REJECTED = "rejected"
"""A file that was refused at the door: a row with its reason, terminal from birth."""

DUPLICATE = "duplicate"
"""A file whose bytes were read before, with the same operation and options: it has that result."""

FILE_TRANSITIONS: dict[str, frozenset[str]] = {
    **{str(state): frozenset(map(str, to)) for state, to in queue_states.TRANSITIONS.items()},
    DUPLICATE: frozenset({"queued"}),  # requeued, to be read for itself
    REJECTED: frozenset(),
}
FILE_TRANSITIONS["queued"] |= {DUPLICATE}
FILE_STATES = tuple(FILE_TRANSITIONS)

READ = ("succeeded", "failed", "quarantined")
"""The ends that a worker brought about, which took it time."""

COUNTED = ("succeeded", "failed", "quarantined", "cancelled", REJECTED)
"""The ends of a file that a job keeps a counter of; a duplicate counts among the succeeded."""
COUNTERS: dict[str, tuple[str, ...]] = {
    **{state: (state,) for state in COUNTED},
    DUPLICATE: ("succeeded", "duplicates"),
}
"""Terminal file state -> the job's counters that go up with it."""


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
