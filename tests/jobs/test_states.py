"""The tables of states, and what the counts of a job mean for it. Pure."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.states import (
    CLOSED,
    COUNTED,
    COUNTERS,
    DUPLICATE,
    FILE_STATES,
    FILE_TRANSITIONS,
    JOB_STATES,
    JOB_TRANSITIONS,
    OPEN,
    REJECTED,
    JobState,
    outcome,
)
from apps.queue.states import READY, UNFINISHED, State

pytestmark = pytest.mark.once


def reachable(table: dict[str, frozenset[str]], start: str) -> set[str]:
    found, ahead = {start}, [start]
    while ahead:
        news = table[ahead.pop()] - found
        found |= news
        ahead += news
    return found


def test_the_tables_know_every_state_and_no_other() -> None:
    assert set(JOB_TRANSITIONS) == set(JobState)
    assert set().union(*JOB_TRANSITIONS.values()) <= set(JobState)
    assert set().union(*FILE_TRANSITIONS.values()) <= set(FILE_STATES)
    assert tuple(str(state) for state in JobState) == JOB_STATES


def test_open_and_closed_part_the_jobs_states() -> None:
    assert set(JobState) == OPEN | CLOSED
    assert not OPEN & CLOSED


def test_every_state_can_be_reached_but_being_rejected_is_by_birth() -> None:
    assert reachable(JOB_TRANSITIONS, JobState.QUEUED) == set(JobState)
    assert reachable(FILE_TRANSITIONS, State.QUEUED) == set(FILE_STATES) - {REJECTED}
    assert FILE_TRANSITIONS[REJECTED] == frozenset()


def test_every_open_state_can_end_and_only_a_retry_opens_a_closed_one() -> None:
    for state in OPEN:
        assert reachable(JOB_TRANSITIONS, state) & CLOSED
    for state in CLOSED:
        assert JOB_TRANSITIONS[state] <= {JobState.QUEUED}


def test_only_a_running_file_succeeds_or_fails() -> None:
    for ending in (State.SUCCEEDED, State.FAILED, State.QUARANTINED, State.RETRY_WAIT):
        assert {before for before, to in FILE_TRANSITIONS.items() if ending in to} == {"running"}


def test_a_job_counts_exactly_the_states_in_which_files_end() -> None:
    assert set(COUNTED) == set(FILE_STATES) - UNFINISHED - {DUPLICATE}
    assert set(COUNTERS) == {*COUNTED, DUPLICATE}
    assert COUNTERS[DUPLICATE] == ("succeeded", "duplicates")
    assert READY < UNFINISHED


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ("succeeded succeeded", JobState.SUCCEEDED),
        ("succeeded failed", JobState.PARTIAL),
        ("succeeded rejected", JobState.PARTIAL),
        ("succeeded quarantined", JobState.PARTIAL),
        ("failed failed", JobState.FAILED),
        ("failed rejected", JobState.FAILED),
        ("quarantined failed", JobState.FAILED),
        ("cancelled cancelled", JobState.CANCELLED),
        ("succeeded cancelled", JobState.CANCELLED),
        ("failed cancelled", JobState.CANCELLED),
    ],
)
def test_how_files_ended_is_how_the_job_ended(ended: str, expected: JobState) -> None:
    states = Counter(ended.split())
    assert outcome({state: states[state] for state in COUNTED}, 2) == expected


@given(
    files=st.lists(st.sampled_from(sorted(FILE_STATES)), min_size=1, max_size=50),
)
def test_a_job_is_closed_exactly_when_all_its_files_have_ended(files: list[str]) -> None:
    counted = Counter(name for file in files for name in COUNTERS.get(file, ()))
    state = outcome({name: counted[name] for name in COUNTED}, len(files))
    assert (state is None) == bool(set(files) & UNFINISHED)
    assert state is None or state in CLOSED
    assert (state == JobState.SUCCEEDED) == (set(files) <= {"succeeded", "duplicate"})
