"""Which part of a file a Range header asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.ranges import NOTHING, Part, part_of

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", Part(0, 10)),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=3-99", Part(3, 7)),
        ("bytes=9-9", Part(9, 1)),
        ("bytes=-3", Part(7, 3)),
        ("bytes=-99", Part(0, 10)),
        ("bytes=10-", NOTHING),
        ("bytes=-0", NOTHING),
        # What is no single range is passed over, as RFC 9110 lets it be.
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-3", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=٣-", None),
        ("bytes=99999999999999999999-", None),
        ("bytes=0x1-", None),
    ],
)
def test_the_part(header: str, part: Part | None) -> None:
    assert part_of(header, 10) == part


def test_of_an_empty_file_there_is_no_part() -> None:
    assert part_of("bytes=0-", 0) is NOTHING
    assert part_of("bytes=-1", 0) is NOTHING


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_it_is_what_python_takes_of_it(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    part = part_of(f"bytes={first}-{last}", size)
    whole = part is None
    assert whole == (last < first)
    if part is not None:
        assert data[part.start : part.start + part.length] == data[first : last + 1]
        assert part.start + part.length <= size
