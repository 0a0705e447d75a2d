"""Checks over named limiters and subjects."""

from typing import Any

import pytest

from apps.ratelimits.decision import OPEN, headers
from apps.ratelimits.errors import TooManyRequests
from apps.ratelimits.services import check, check_all, peek, refund, require
from apps.ratelimits.subjects import EVERYTHING, Subject

ALICE, BOB = Subject.user(1), Subject.user(2)


@pytest.fixture(autouse=True)
def _small(settings: Any) -> None:
    settings.LIMIT_SEARCH = "2/min, 3/h"
    settings.LIMIT_GLOBAL = "3/min"


def test_the_limit_passes_and_no_more() -> None:
    assert [check("search", ALICE).allowed for _ in range(3)] == [True, True, False]
    assert check("search", BOB).allowed


def test_all_or_nothing() -> None:
    pairs = [("search", ALICE), ("global", EVERYTHING)]
    assert [check_all(pairs).allowed for _ in range(3)] == [True, True, False]
    assert peek([("global", EVERYTHING)]).parts[0].windows[0].used == 2
    assert check_all([("global", EVERYTHING)]).allowed
    assert check_all(pairs).limiter == "search"


def test_a_refund_makes_room() -> None:
    decision = check("search", ALICE)
    assert check("search", ALICE).allowed
    assert not check("search", ALICE).allowed
    refund(decision)
    assert check("search", ALICE).allowed


def test_headers() -> None:
    told = headers([check("search", ALICE)])
    assert told["X-RateLimit-Limit"] == "2"
    assert told["X-RateLimit-Remaining"] == "1"
    assert told["RateLimit-Policy"] == '"search-minute";q=2;w=60, "search-hour";q=3;w=3600'
    assert told["RateLimit"] == '"search-minute";r=1;t=60, "search-hour";r=2;t=3600'
    assert "Retry-After" not in told


def test_nothing_is_limited_when_turned_off(settings: Any) -> None:
    settings.ENABLE_RATE_LIMITING = False
    assert all(check("search", ALICE).allowed for _ in range(9))
    assert headers([check("search", ALICE)]) == {}


@pytest.mark.parametrize("limit", ["3/min", "6000/min"])
def test_only_what_was_counted_is_given_back(settings: Any, limit: str) -> None:
    settings.LIMIT_GLOBAL = limit
    pairs = [("global", EVERYTHING)]
    check_all(pairs)
    for decision in (check_all(pairs)._replace(is_counted=False), peek(pairs), OPEN):
        refund(decision)
    assert peek(pairs).parts[0].windows[0].used == 2
    refund(check_all(pairs))
    assert peek(pairs).parts[0].windows[0].used == 2


def test_of_several_limiters_one_is_given_back() -> None:
    refund(check_all([("search", ALICE), ("global", EVERYTHING)]), "global")
    looked = peek([("search", ALICE), ("global", EVERYTHING)])
    assert [part.windows[0].used for part in looked.parts] == [1, 0]


def test_the_same_pair_twice_counts_once() -> None:
    pairs = [("search", ALICE), ("search", ALICE)]
    assert check_all(pairs).parts[0].windows[0].used == 1


def test_a_refusal_can_be_raised() -> None:
    assert require(check("search", ALICE)).allowed
    check("search", ALICE)
    with pytest.raises(TooManyRequests) as caught:
        require(check("search", ALICE))
    assert caught.value.decision.limiter == "search"
    assert caught.value.retry_after == 60
    assert 'The limit "search" (2/minute) is reached.' in caught.value.detail


def test_no_such_limiter() -> None:
    with pytest.raises(KeyError):
        check("serach", ALICE)
