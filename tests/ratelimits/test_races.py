"""Simultaneous requests: exactly the limit passes, where the throttles of others let more pass."""

from typing import Any
from unittest.mock import patch

import pytest
from django.test import RequestFactory
from django_ratelimit.core import get_usage

from apps.ratelimits.ledger import Ask
from apps.ratelimits.windows import Window
from tests.ratelimits.benches import Bench
from tests.ratelimits.racing import LIMIT, limits, race, throttle
from tests.servers import Valkey

pytestmark = pytest.mark.once


def test_of_2400_requests_of_8_processes_exactly_the_limit_passes(valkey: Valkey) -> None:
    assert [race(limits(valkey.url, run)) for run in range(5)] == [LIMIT] * 5
    assert race(limits(valkey.url, 5, cost=3)) == LIMIT // 3


def test_a_throttle_that_reads_then_writes_lets_more_pass(valkey: Valkey) -> None:
    """In one of several races: whether two meet between reading and writing is chance."""
    assert any(race(throttle) > LIMIT * 1.5 for _ in range(10))


BURST = 40


def test_over_a_boundary_the_limit_holds(bench: Bench) -> None:
    """As much as passes just before a minute ends and just after it."""
    ask = Ask("search:u1", (Window(BURST, 60),))
    bench.advance(59_000)
    before = sum([bench.decide([ask], hit=True).allowed for _ in range(BURST)])
    bench.advance(2_000)
    after = sum([bench.decide([ask], hit=True).allowed for _ in range(BURST)])
    assert (before, after) == (BURST, 0)


def test_over_a_boundary_fixed_windows_let_twice_as_much_pass(valkey: Valkey) -> None:
    def allowed(now: float) -> int:
        with patch("django_ratelimit.core.time") as clock:
            clock.time.return_value = now
            return sum([not usage()["should_limit"] for _ in range(BURST)])

    def usage() -> Any:
        return get_usage(
            RequestFactory().get("/"),
            group="boundary",
            key=lambda group, request: "somebody",
            rate=f"{BURST}/m",
            increment=True,
        )

    with patch("django_ratelimit.core.time") as clock:
        clock.time.return_value = 1_800_000_000.0
        left = usage()["time_left"]
    boundary = 1_800_000_000 + left
    assert allowed(boundary - 1) + allowed(boundary + 1) > 1.5 * BURST
