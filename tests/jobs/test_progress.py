"""Progress and time to go. Pure; held by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.progress import eta_seconds, fraction

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


@given(progress=st.floats(0.001, 0.999), elapsed=st.floats(0.001, 1e6))
def test_time_to_go_is_what_is_left_at_the_pace_so_far(progress: float, elapsed: float) -> None:
    seconds = eta_seconds(progress, elapsed)
    assert seconds is not None
    assert seconds >= 0
    assert seconds == pytest.approx(elapsed / progress - elapsed, abs=0.51)


@pytest.mark.parametrize(("progress", "elapsed"), [(0, 10), (1, 10), (0.5, 0), (0.5, -1)])
def test_without_a_pace_nothing_is_foretold(progress: float, elapsed: float) -> None:
    assert eta_seconds(progress, elapsed) is None
