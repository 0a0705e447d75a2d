import time
import uuid

import pytest

from apps.core.ids import uuid7

pytestmark = pytest.mark.once


def test_ids_are_version_7_and_tell_their_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_later_ids_sort_later_and_none_repeats() -> None:
    many = [uuid7() for _ in range(1000)]
    assert many == sorted(many)
    assert len(set(many)) == 1000
