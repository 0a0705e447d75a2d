"""States, spans of time and amounts in words."""

import pytest

from apps.jobs.states import FILE_STATES, JOB_STATES
from apps.web import words

pytestmark = pytest.mark.once


def test_every_state_has_its_word_and_no_other_has() -> None:
    names = {str(getattr(state, "value", state)) for state in (*FILE_STATES, *JOB_STATES)}
    assert set(words.STATE_WORDS) == names


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, ""),
        (-3, "under 1 s"),
        (0, "under 1 s"),
        (0.99, "under 1 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.7, "1 h"),
        (3659, "1 h"),
        (3660, "1 h 1 min"),
        (86399.9, "1 d"),
        (90_000, "1 d 1 h"),
        (400 * 86400, "400 d"),
    ],
)
def test_spans_have_at_most_two_units(seconds: float | None, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-60, "just now"),
        (0, "just now"),
        (44.9, "just now"),
        (45, "1 min ago"),
        (60, "1 min ago"),
        (119, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86399, "23 h ago"),
        (86400, "1 d ago"),
        (40 * 86400, "40 d ago"),
    ],
)
def test_how_long_ago(seconds: float, told: str) -> None:
    assert words.ago(seconds) == told


@pytest.mark.parametrize(
    ("parts", "told"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_lists_in_a_sentence(parts: list[str], told: str) -> None:
    assert words.joined(parts) == told


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({}, "no files"),
        ({"total": 3, "succeeded": 0}, "no files"),
        ({"total": 10, "failed": 1, "succeeded": 9}, "9 succeeded, 1 failed"),
        (
            {"duplicate": 3, "failed": 1, "succeeded": 8},
            "8 succeeded, 3 of them read before, 1 failed",
        ),
        ({"retry_wait": 2, "queued": 1}, "1 queued, 2 waiting to retry"),
    ],
)
def test_a_jobs_outcome(counts: dict[str, int], told: str) -> None:
    assert words.outcome(counts) == told


def test_operations_are_called_as_where_they_are_chosen() -> None:
    assert [words.operation(each) for each in ("extract", "ocr", "own")] == [
        "Read text",
        "OCR",
        "Own",
    ]


def test_what_a_program_wrote_down() -> None:
    written: list[tuple[object, str]] = [
        (None, "none"),
        ([], "none"),
        (True, "yes"),
        (0, "0"),
        (["job.failed", "job.partial"], "job.failed, job.partial"),
        ("owner", "owner"),
    ]
    assert [words.told(value) for value, _ in written] == [text for _, text in written]
