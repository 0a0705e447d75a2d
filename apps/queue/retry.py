"""What a failure leads to: a pure rule over its class and what the row has been through."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from apps.queue.states import State

MAX_RETRIES = 3
"""Counted runs again after the first, so four executions at most."""
BACKOFF_FACTOR = 4
JITTER = 0.2
MIN_WAIT_SECONDS = 1
"""What "Retry-After: 0" is taken for: waits are not counted, so they must not be a busy loop."""
MAX_WAIT_SECONDS = 24 * 3600
CRASHES_TO_QUARANTINE = 2
LOSSES_TO_QUARANTINE = 5


class FailureClass(StrEnum):
    """Why a run ended without a result, by what should happen next."""

    TRANSIENT = "transient"  # network, 5xx, a bug of ours: may pass
    RATE_LIMITED = "rate_limited"  # somebody told us to wait
    PERMANENT = "permanent"  # encrypted, corrupt, unsupported: will not pass
    RESOURCE = "resource"  # our memory or time limit
    CRASH = "crash"  # the parsing child died by itself
    LOST = "lost"  # the lease ran out: worker or machine gone
    INFRA = "infra"  # our disk, database or storage
    BUDGET = "budget"  # what may be spent is spent: somebody has to raise it
    INTERRUPTED = "interrupted"  # deploy, scale-down


@dataclass(frozen=True)
class Usage:
    """What a run cost: peak resident memory in bytes and processor time in seconds."""

    peak_rss_bytes: int = 0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    """One run's failure. `code` is stable, `detail` for a person, `output` what was saved of it.

    `waits` are the seconds after each failure in a row that may pass, for work that has a schedule
    of its own; the one after the last of them is the end.
    """

    failure_class: FailureClass
    code: str
    detail: str
    traceback: str = ""
    retry_after: float | None = None
    waits: tuple[float, ...] | None = None
    output: Any = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Tally:
    """What counted against a row in its current run of life."""

    failures: int = 0
    crashes: int = 0
    losses: int = 0
    is_heavy: bool = False


@dataclass(frozen=True)
class Verdict:
    """Where the row goes next, after `delay_seconds`, with which tally."""

    state: State
    tally: Tally
    delay_seconds: float = 0.0
    pauses_lane: bool = False


def backoff(retry: int, *, base_seconds: float, jitter: float) -> float:
    """Seconds before retry number `retry` (1, 2, ...): base x 4^(retry-1), +-20 % by `jitter`."""
    return spread(base_seconds * BACKOFF_FACTOR ** (retry - 1), jitter)


def spread(seconds: float, jitter: float) -> float:
    """+-20 % by `jitter`, so that what failed together is not tried together."""
    return float(seconds * (1 + JITTER * jitter))


# Where a failure of a class leads at once, whatever the row has been through.
FIXED = {
    FailureClass.PERMANENT: State.FAILED,
    FailureClass.INTERRUPTED: State.QUEUED,
    FailureClass.BUDGET: State.QUEUED,  # held by its handler, until somebody resumes it
}

# What may happen so many times before the row is taken for poison: the tally's field, the limit.
POISON = {
    FailureClass.CRASH: ("crashes", CRASHES_TO_QUARANTINE),
    FailureClass.LOST: ("losses", LOSSES_TO_QUARANTINE),
}


def decide(failure: Failure, tally: Tally, *, base_seconds: float, jitter: float) -> Verdict:
    """The verdict on `failure` of a row with `tally`; `jitter` is a random number in -1..1."""
    why = failure.failure_class
    if why is not FailureClass.LOST:
        tally = replace(tally, losses=0)  # only losses *in a row* quarantine
    if why in FIXED:
        return Verdict(FIXED[why], tally)
    if why in POISON:
        field_name, limit = POISON[why]
        count = getattr(tally, field_name) + 1
        tally = replace(tally, **{field_name: count})
        return Verdict(State.QUARANTINED if count >= limit else State.QUEUED, tally)
    if why is FailureClass.RESOURCE:
        tried = State.FAILED if tally.is_heavy else State.QUEUED
        return Verdict(tried, replace(tally, is_heavy=True))
    if why is FailureClass.TRANSIENT:
        return _transient(failure, tally, base_seconds=base_seconds, jitter=jitter)
    asked = failure.retry_after
    wait = base_seconds if asked is None else max(asked, MIN_WAIT_SECONDS)
    is_ours = why is FailureClass.INFRA
    return Verdict(State.RETRY_WAIT, tally, _bounded(wait), pauses_lane=is_ours)


def _transient(failure: Failure, tally: Tally, *, base_seconds: float, jitter: float) -> Verdict:
    tally = replace(tally, failures=tally.failures + 1)
    if tally.failures > (MAX_RETRIES if failure.waits is None else len(failure.waits)):
        return Verdict(State.FAILED, tally)
    if failure.waits is None:
        delay = backoff(tally.failures, base_seconds=base_seconds, jitter=jitter)
    else:
        delay = spread(failure.waits[tally.failures - 1], jitter)
    return Verdict(State.RETRY_WAIT, tally, _bounded(max(delay, failure.retry_after or 0)))


def _bounded(seconds: float) -> float:
    return min(seconds, MAX_WAIT_SECONDS)
