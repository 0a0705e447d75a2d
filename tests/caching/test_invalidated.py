"""What is invalidated is not served any more, whatever goes on meanwhile; what is rolled back
invalidates nothing. The same in memory and in Redis."""

import threading
import time

import pytest
from django.db import transaction

from apps.caching.invalidation import invalidate, invalidate_kind
from apps.caching.keys import kind_tag, tag_key
from apps.caching.stores import store
from tests.caching.works import Clock, Work, at_once
from tests.processes import eventually

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _each(kept_in: str) -> None:
    """Every test here, in every store."""


def test_invalidated_by_a_tag_by_kind_and_by_nothing_else() -> None:
    work = Work("v")
    kept = work.kept(tags=lambda argument: [f"thing:{argument}", "all:things"])
    kept(1)
    kept(2)
    for tag, times in (("thing:1", 3), ("all:things", 5), ("thing:3", 5)):
        invalidate(tag)
        kept(1)
        kept(2)
        assert work.times == times, tag
    invalidate_kind("text")
    kept(1)
    assert work.times == 6
    invalidate_kind("metrics")
    kept(1)
    assert work.times == 6


def test_softly_invalidated_is_stale() -> None:
    work = Work("old")
    kept = work.kept()
    kept()
    work.value = "new"
    invalidate("thing:1", soft=True)
    outcome = kept.outcome()
    assert (outcome.status, outcome.value) == ("STALE", "old")
    eventually(lambda: kept() == "new")
    invalidate("thing:1", soft=True)
    invalidate("thing:1")
    assert kept.outcome().status == "MISS"


@pytest.mark.parametrize("soft", [True, False])
def test_invalidating_what_nobody_has_makes_no_stamp(soft: bool) -> None:
    """One half of a soft one would be no secret, and be the same each time; and each file that is
    removed would leave one for days, whether or not anybody read it."""
    invalidate("nothing:1", soft=soft)
    assert store().read([tag_key("nothing:1")]) == {}


def test_soft_after_hard_serves_nothing_of_before() -> None:
    work = Work("old")
    kept = work.kept()
    kept()
    invalidate("thing:1")
    invalidate("thing:1", soft=True)
    work.value = "new"
    assert kept() == "new"


def test_an_invalidation_during_the_computation_is_not_lost() -> None:
    work = Work("old", go_on=threading.Event())
    kept = work.kept()
    thread = threading.Thread(target=kept)
    thread.start()
    work.began.wait(10)
    work.value = "new"  # what is computed now has read the old one already
    invalidate("thing:1")
    work.go_on.set()
    thread.join(10)
    assert kept() == "new"
    assert kept() == "new"
    assert work.times == 2


def test_who_asks_after_an_invalidation_does_not_get_what_was_begun_before() -> None:
    """Not even by waiting for it."""
    work = Work("old", go_on=threading.Event())
    kept = work.kept()
    first = threading.Thread(target=kept)
    first.start()
    work.began.wait(10)
    work.value = "new"
    invalidate("thing:1")
    got: list[str] = []
    second = threading.Thread(target=lambda: got.append(kept()))
    second.start()
    eventually(lambda: work.times == 2)
    work.go_on.set()
    first.join(10)
    second.join(10)
    assert got == ["new"]


def test_an_invalidation_during_a_refresh_is_not_lost() -> None:
    clock, work = Clock(), Work("older")
    kept = work.kept()
    kept()
    clock.now += 11 * 60
    work.value, work.go_on = "old", threading.Event()
    work.began.clear()
    assert kept() == "older"
    work.began.wait(10)
    work.value = "new"
    invalidate("thing:1")
    work.go_on.set()
    assert kept() == "new"
    time.sleep(0.1)
    assert kept() == "new"


def test_what_is_rolled_back_invalidates_nothing_and_keeps_nothing() -> None:
    work = Work("committed")
    kept = work.kept()
    kept()
    with transaction.atomic():
        invalidate("thing:1")
        work.value = "uncommitted"
        assert kept.outcome().status == "BYPASS"
        assert kept() == "uncommitted"
        transaction.set_rollback(True)
    assert (kept.outcome().status, kept()) == ("HIT", "committed")


def test_a_part_that_is_rolled_back_does_not_count() -> None:
    kept = Work("v").kept()
    kept()
    with transaction.atomic():
        with transaction.atomic():
            invalidate("thing:1")
            transaction.set_rollback(True)
        assert kept.outcome().status == "HIT"
    assert kept.outcome().status == "HIT"


def test_what_a_transaction_computes_is_its_own() -> None:
    """Changed first and invalidated afterwards, or read from before an invalidation by others."""
    work = Work("uncommitted")
    kept = work.kept()
    with transaction.atomic():
        assert (kept.outcome().status, kept()) == ("BYPASS", "uncommitted")
        invalidate("thing:1")
        transaction.set_rollback(True)
    work.value = "committed"
    assert (kept.outcome().status, kept()) == ("MISS", "committed")
    with transaction.atomic():
        assert (kept.outcome().status, kept()) == ("HIT", "committed")


def test_it_ends_at_the_commit_and_not_before() -> None:
    work = Work("old")
    kept = work.kept()
    kept()
    with transaction.atomic():
        invalidate("thing:1")
        work.value = "new"
        got, _ = at_once(kept, 1)  # another connection
        assert got == ["old"]
    assert kept() == "new"


def test_who_hears_of_the_commit_gets_what_is_new() -> None:
    work = Work("old")
    kept = work.kept()
    kept()
    told: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: told.append(kept()))
        work.value = "new"
        invalidate("thing:1")
    assert told == ["new"]


def test_a_stamp_that_is_gone_is_a_miss() -> None:
    work = Work("v")
    kept = work.kept()
    kept()
    for tag in ("thing:1", kind_tag("text")):
        before = work.times
        store().delete(tag_key(tag))
        assert kept.outcome().status == "MISS"
        assert work.times == before + 1
        assert kept.outcome().status == "HIT"
