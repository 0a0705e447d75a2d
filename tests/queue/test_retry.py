import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.queue.retry import (
    MAX_WAIT_SECONDS,
    Failure,
    FailureClass,
    Tally,
    Verdict,
    backoff,
    decide,
)
from apps.queue.states import READY, TRANSITIONS, State

pytestmark = pytest.mark.once

BASE_SECONDS = 30
FRESH = Tally()


def test_work_may_have_a_schedule_of_its_own() -> None:
    told = Failure(FailureClass.TRANSIENT, "test.failed", "It failed.", waits=(5, 60))
    found, tally = [], FRESH
    for _ in range(3):
        verdict = decide(told, tally, base_seconds=BASE_SECONDS, jitter=1)
        tally = verdict.tally
        found.append((verdict.state, verdict.delay_seconds))
    assert found == [
        (State.RETRY_WAIT, pytest.approx(6)),
        (State.RETRY_WAIT, pytest.approx(72)),
        (State.FAILED, 0.0),
    ]


def failure(failure_class: FailureClass, retry_after: float | None = None) -> Failure:
    return Failure(failure_class, "test.failed", "It failed.", retry_after=retry_after)


def verdict_on(
    failure_class: FailureClass, tally: Tally = FRESH, retry_after: float | None = None
) -> Verdict:
    told = failure(failure_class, retry_after)
    return decide(told, tally, base_seconds=BASE_SECONDS, jitter=0)


@pytest.mark.parametrize(("retry", "seconds"), [(1, 30), (2, 120), (3, 480)])
def test_backoff_is_four_times_longer_each_time_within_a_fifth(retry: int, seconds: int) -> None:
    assert backoff(retry, base_seconds=BASE_SECONDS, jitter=0) == seconds
    assert backoff(retry, base_seconds=BASE_SECONDS, jitter=-1) == pytest.approx(seconds * 0.8)
    assert backoff(retry, base_seconds=BASE_SECONDS, jitter=1) == pytest.approx(seconds * 1.2)


@pytest.mark.parametrize(
    ("failure_class", "before", "after"),
    [
        (
            FailureClass.TRANSIENT,
            Tally(),
            Verdict(State.RETRY_WAIT, Tally(failures=1), 30),
        ),
        (
            FailureClass.TRANSIENT,
            Tally(failures=1),
            Verdict(State.RETRY_WAIT, Tally(failures=2), 120),
        ),
        (
            FailureClass.TRANSIENT,
            Tally(failures=2),
            Verdict(State.RETRY_WAIT, Tally(failures=3), 480),
        ),
        (FailureClass.TRANSIENT, Tally(failures=3), Verdict(State.FAILED, Tally(failures=4))),
        (FailureClass.PERMANENT, Tally(), Verdict(State.FAILED, Tally())),
        (FailureClass.RATE_LIMITED, Tally(failures=3), Verdict(State.RETRY_WAIT, Tally(3), 30)),
        (FailureClass.RESOURCE, Tally(), Verdict(State.QUEUED, Tally(is_heavy=True))),
        (
            FailureClass.RESOURCE,
            Tally(is_heavy=True),
            Verdict(State.FAILED, Tally(is_heavy=True)),
        ),
        (FailureClass.CRASH, Tally(), Verdict(State.QUEUED, Tally(crashes=1))),
        (FailureClass.CRASH, Tally(crashes=1), Verdict(State.QUARANTINED, Tally(crashes=2))),
        (FailureClass.LOST, Tally(), Verdict(State.QUEUED, Tally(losses=1))),
        (FailureClass.LOST, Tally(losses=3), Verdict(State.QUEUED, Tally(losses=4))),
        (FailureClass.LOST, Tally(losses=4), Verdict(State.QUARANTINED, Tally(losses=5))),
        (
            FailureClass.INFRA,
            Tally(failures=3, crashes=1),
            Verdict(State.RETRY_WAIT, Tally(failures=3, crashes=1), 30, pauses_lane=True),
        ),
        (
            FailureClass.INTERRUPTED,
            Tally(failures=3, crashes=1),
            Verdict(State.QUEUED, Tally(failures=3, crashes=1)),
        ),
    ],
)
def test_what_a_failure_leads_to(
    failure_class: FailureClass, before: Tally, after: Verdict
) -> None:
    assert verdict_on(failure_class, before) == after


@pytest.mark.parametrize("failure_class", sorted(set(FailureClass) - {FailureClass.LOST}))
def test_only_losses_in_a_row_count(failure_class: FailureClass) -> None:
    assert verdict_on(failure_class, Tally(losses=4)).tally.losses == 0


@pytest.mark.parametrize(
    ("failure_class", "retry_after", "seconds"),
    [
        (FailureClass.RATE_LIMITED, 7, 7),
        (FailureClass.RATE_LIMITED, 700, 700),
        (FailureClass.RATE_LIMITED, 10**9, MAX_WAIT_SECONDS),
        (FailureClass.RATE_LIMITED, 0, 1),  # not at once for ever: this is not counted
        (FailureClass.RATE_LIMITED, -5, 1),
        (FailureClass.TRANSIENT, 7, 30),  # the backoff is longer
        (FailureClass.TRANSIENT, 700, 700),
        (FailureClass.TRANSIENT, 10**12, MAX_WAIT_SECONDS),
    ],
)
def test_a_wait_that_was_asked_for_is_kept(
    failure_class: FailureClass, retry_after: float, seconds: float
) -> None:
    assert verdict_on(failure_class, retry_after=retry_after).delay_seconds == seconds


failures = st.builds(
    failure,
    st.sampled_from(FailureClass),
    st.none() | st.floats(min_value=-10, max_value=1e12, allow_nan=False),
)


@settings(deadline=None)
@given(st.lists(failures, max_size=40), st.floats(-1, 1))
def test_no_history_of_failures_runs_a_row_for_ever(told: list[Failure], jitter: float) -> None:
    """Transient four times at most, a crash twice, a limit of ours twice, five losses in a row."""
    tally, state, seen = Tally(), State.QUEUED, []
    for each in told:
        if state not in READY:
            break
        seen.append(each.failure_class)
        verdict = decide(each, tally, base_seconds=BASE_SECONDS, jitter=jitter)
        assert verdict.state in TRANSITIONS[State.RUNNING]
        assert 0 <= verdict.delay_seconds <= MAX_WAIT_SECONDS
        assert verdict.state is not State.RETRY_WAIT or verdict.delay_seconds >= 1
        tally, state = verdict.tally, verdict.state
    assert seen.count(FailureClass.TRANSIENT) <= 4
    assert seen.count(FailureClass.CRASH) <= 2
    assert seen.count(FailureClass.RESOURCE) <= 2
    assert seen.count(FailureClass.PERMANENT) <= 1
    assert all(len(list(run)) <= 5 for key, run in itertools.groupby(seen) if key == "lost")
