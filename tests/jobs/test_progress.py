"""Progress and time to go. Pure; held by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.progress import Work, eta_seconds, fraction

pytestmark = pytest.mark.once

shares = st.floats(0, 1)


@given(total=st.integers(0, 50), data=st.data())
def test_progress_is_a_fraction_and_whole_only_at_the_end(total: int, data: st.DataObject) -> None:
    finished = data.draw(st.integers(0, total))
    others = data.draw(st.lists(shares, min_size=total - finished, max_size=total - finished))
    share = fraction(total, finished, sum(others))
    assert 0 <= share <= 1
    if total and finished == total:
        assert share == 1


@given(others=st.lists(shares, min_size=1, max_size=50), data=st.data())
def test_progress_never_runs_backwards(others: list[float], data: st.DataObject) -> None:
    """Neither when a file gets on nor when one ends, whatever it was at."""
    total, before = len(others), fraction(len(others), 0, sum(others))
    number = data.draw(st.integers(0, total - 1))
    rest = sum(others[:number] + others[number + 1 :])
    further = data.draw(st.floats(others[number], 1))
    assert fraction(total, 0, rest + further) >= before - 1e-9
    assert fraction(total, 1, rest) >= before - 1e-9


def test_an_empty_job_has_no_progress() -> None:
    assert fraction(0, 0, 0.0) == 0


@given(read=st.floats(0.01, 50), left=st.floats(0.01, 50), seconds=st.floats(0.01, 1e6))
def test_time_to_go_is_what_is_left_at_the_pace_so_far(
    read: float, left: float, seconds: float
) -> None:
    told = eta_seconds(Work(read, left, seconds))
    assert told == pytest.approx(left * seconds / read, abs=0.51)


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work(read=10, left=10, seconds=60), 60),
        (Work(read=1.5, left=0.5, seconds=30), 10),  # half a file is half a file
        # What was paused is in no pace: the caller has left it out of `seconds`.
        (Work(read=10, left=10, seconds=60, is_held=True), None),
        # The last retry cannot start sooner than it may.
        (Work(read=10, left=1, seconds=60, wait_seconds=480), 480),
        (Work(read=10, left=100, seconds=60, wait_seconds=480), 600),
        (Work(read=10, left=1, seconds=60, wait_seconds=-5), 6),  # it is due
        # Without a pace nothing is foretold, and nothing where nothing is left.
        (Work(read=0, left=10, seconds=60), None),
        (Work(read=10, left=0, seconds=60), None),
        (Work(read=10, left=10, seconds=0), None),
        (Work(read=10, left=10, seconds=-1), None),
        (Work(read=0, left=1, seconds=60, wait_seconds=480), None),
    ],
)
def test_what_counts_for_the_time_to_go(work: Work, seconds: int | None) -> None:
    assert eta_seconds(work) == seconds
