import pytest

from apps.queue.states import FINISHED, READY, TRANSITIONS, UNFINISHED, State


def test_every_state_has_its_moves_and_every_move_leads_to_a_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {to for moves in TRANSITIONS.values() for to in moves} <= set(State)


def test_a_row_has_ended_or_has_not() -> None:
    assert set(State) == UNFINISHED | FINISHED
    assert not UNFINISHED & FINISHED
    assert READY < UNFINISHED


def test_every_state_can_be_reached_from_queued() -> None:
    reached, new = set(), {State.QUEUED}
    while new:
        reached |= new
        new = {to for state in new for to in TRANSITIONS[state]} - reached
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_what_ended_is_only_opened_anew(state: State) -> None:
    assert TRANSITIONS[state] == {State.QUEUED}


@pytest.mark.parametrize("state", sorted(State))
def test_running_comes_from_waiting_only_and_success_from_running_only(state: State) -> None:
    assert (State.RUNNING in TRANSITIONS[state]) == (state in READY)
    assert (State.SUCCEEDED in TRANSITIONS[state]) == (state is State.RUNNING)
