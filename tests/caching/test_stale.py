"""What is older than it should be: served at once and computed anew, once; the same in memory and
in Redis."""

import logging
import threading
import time
from typing import Any

import pytest

from apps.caching import cache as caching
from apps.caching import statistics
from apps.caching.cache import Cache, cache
from apps.caching.stores import store
from apps.core.errors import NotFound, Unavailable
from tests.caching.works import Clock, Work, at_once
from tests.processes import eventually

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _each(kept_in: str) -> None:
    """Every test here, in every store."""


@pytest.mark.alone  # it measures
def test_what_is_stale_is_served_at_once_and_computed_once_in_the_background() -> None:
    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    clock.now += 11 * 60
    work.value, work.seconds = "new", 0.3
    got, waits = at_once(kept.outcome, 20)
    assert {outcome.value for outcome in got} == {"old"}
    assert {outcome.status for outcome in got} == {"STALE"}
    assert max(waits) < 0.25
    eventually(lambda: kept.outcome().status == "HIT")
    assert kept() == "new"
    assert work.times == 2
    eventually(lambda: not list(store().shared.names("l:")))  # its lock is given back


def test_what_is_stale_is_served_where_no_thread_can_be_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    clock.now += 11 * 60
    work.value = "new"
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        statistics.flusher.__init__()
        for number in range(caching.REFRESHES + 1):
            assert (kept.outcome().status, kept()) == ("STALE", "old"), number
            cache._tried.clear()
    eventually(lambda: kept() == "new")
    assert statistics.flusher._timer


def test_what_is_stale_is_computed_once_for_all_processes() -> None:
    clock, work = Clock(), Work("old")
    call = work.kept().call()
    cache.get(call)
    clock.now += 11 * 60
    work.value, work.seconds = "new", 0.3
    caches = [cache, *(Cache(clock) for _ in range(3))]
    assert {each.get(call).value for each in caches} == {"old"}
    eventually(lambda: cache.get(call).value == "new")
    time.sleep(0.3)
    assert work.times == 2


def test_who_refreshes_looks_again_before_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may have ended its refresh between the first look and the lock."""
    clock, work = Clock(), Work("old")
    call = work.kept().call()
    cache.get(call)
    clock.now += 11 * 60
    hold, others = store().hold, [Cache(clock)]

    def late(*given: Any) -> bool:
        if others:
            others.pop()._refreshed(call)
        return hold(*given)

    monkeypatch.setattr(store(), "hold", late)
    cache._refreshed(call)
    assert work.times == 2


def test_what_another_process_serves_as_stale_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its computation failed while this one waited for the lock."""
    clock, work = Clock(), Work("old")
    call = work.kept().call()
    cache.get(call)
    clock.now += 21 * 60
    work.value = OSError("gone")
    hold, others = store().hold, [Cache(clock)]

    def late(*given: Any) -> bool:
        if others:
            assert others.pop().get(call).status == "STALE"
        return hold(*given)

    monkeypatch.setattr(store(), "hold", late)
    outcome = cache.get(call)
    assert (outcome.status, outcome.value, work.times) == ("STALE", "old", 2)


def test_only_some_are_refreshed_at_once() -> None:
    clock, work = Clock(), Work("v")
    kept = work.kept()
    for number in range(2 * caching.REFRESHES):
        kept(number)
    clock.now += 11 * 60
    before, work.go_on = work.times, threading.Event()
    for number in range(2 * caching.REFRESHES):
        assert kept.outcome(number).status == "STALE"
    eventually(lambda: work.times == before + caching.REFRESHES)
    time.sleep(0.05)
    assert work.times == before + caching.REFRESHES
    work.go_on.set()


def test_after_the_grace_it_is_computed_while_one_waits() -> None:
    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    clock.now += 21 * 60
    work.value = "new"
    assert (kept.outcome().status, kept()) == ("MISS", "new")


def test_while_computing_fails_what_is_old_is_served(caplog: pytest.LogCaptureFixture) -> None:
    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    work.value = OSError("gone")
    clock.now += 11 * 60
    for _ in range(20):
        assert (kept.outcome().status, kept()) == ("STALE", "old")
        time.sleep(0.005)
    eventually(lambda: work.times == 2)
    clock.now += 10 * 60  # past the grace: whoever asks tries, then it is left alone for a while
    for _ in range(20):
        assert (kept.outcome().status, kept()) == ("STALE", "old")
    assert work.times <= 4
    clock.now += 10 * 60
    with pytest.raises(OSError, match="gone"):
        kept()
    lines = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(lines) == 1
    work.value = "back"
    assert kept() == "back"


def test_what_is_not_there_any_more_is_not_served(caplog: pytest.LogCaptureFixture) -> None:
    """A computation that says so answers; it has not failed."""
    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    work.value = NotFound("deleted")
    clock.now += 11 * 60
    assert kept() == "old"
    eventually(lambda: not store().read([kept.call().key]))
    with pytest.raises(NotFound):
        kept()
    work.value = "old"
    kept()
    work.value = NotFound("deleted")
    clock.now += 21 * 60
    with pytest.raises(NotFound):
        kept()
    work.value = OSError("gone")  # that it is not there is known by now
    with pytest.raises(OSError, match="gone"):
        kept()
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_an_error_of_ours_is_a_failure_and_no_answer() -> None:
    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    work.value = Unavailable("busy")
    clock.now += 21 * 60
    for _ in range(2):
        assert (kept.outcome().status, kept()) == ("STALE", "old")


def test_values_of_one_moment_do_not_all_end_together() -> None:
    ends = set()
    for number in range(50):
        outcome = Work("v").kept().outcome(number)
        left = outcome.entry.times.fresh - cache.clock()
        assert 535 < left <= 600
        ends.add(round(left))
    assert len(ends) > 10
