"""Redis killed, frozen, full: the same answers, no exception, a bounded wait; and what was
invalidated meanwhile stays so."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from apps.caching import stores
from apps.caching.cache import cache
from apps.caching.invalidation import invalidate, invalidate_kind
from apps.caching.keys import kind_tag, tag_key
from apps.caching.kinds import MAX_SECONDS, parse_kind
from apps.caching.statistics import flusher
from apps.caching.stores import store
from apps.core import breaker
from apps.core.breaker import ANSWER_SECONDS, PAUSE_SECONDS
from tests.caching.works import Clock, Work, at_once
from tests.processes import eventually
from tests.ratelimits.commands import commands_counted
from tests.ratelimits.test_away import (
    fill,
    freeze,
    kill,
    nine_of_ten,
    timed,
    waits_past_a_pause,
)
from tests.servers import Valkey

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

Fault = Callable[[Valkey], Callable[[], None]]
FIRST_SECONDS, NEXT_SECONDS = 0.3, 0.01


@pytest.fixture(autouse=True)
def _as_impatient_as_it_is(_fresh_cache: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(breaker, "ANSWER_SECONDS", ANSWER_SECONDS)
    yield
    store()._pending.clear()  # its thread goes on trying otherwise, into the next test
    eventually(lambda: not store()._is_persisting)


def is_back() -> bool:
    return store().ask_shared(lambda shared: shared.probe() or True) is not None


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = (each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING)
    return [line.partition(" (")[0] for line in told]


@pytest.mark.parametrize("fault", [kill, freeze, fill])
def test_away_and_back(
    valkey: Valkey,
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    work = Work("v")
    kept = work.kept()
    kept()
    mend = fault(valkey)
    request.addfinalizer(mend)
    assert [kept(number) for number in (1, 2, 2, 1)] == ["v"] * 4
    eventually(lambda: store().breaker.is_open or not kept(3))
    before = work.times
    assert [kept(number) for number in (1, 2, 2, 1)] == ["v"] * 4
    assert work.times <= before + 2  # what was computed is kept here for a moment
    mend()
    eventually(is_back, seconds=PAUSE_SECONDS + 1.5)
    assert lines(caplog) == ["cache: Redis is away", "cache: Redis is back"]


@pytest.mark.alone  # it measures
@pytest.mark.parametrize("fault", [kill, freeze])
def test_one_request_waits_and_not_for_long(valkey: Valkey, fault: Fault) -> None:
    work = Work("v")
    kept = work.kept()
    kept()
    fault(valkey)
    value, seconds = timed(kept)
    assert (value, seconds <= FIRST_SECONDS) == ("v", True)
    waits = waits_past_a_pause(kept)
    assert nine_of_ten(waits) <= NEXT_SECONDS
    assert max(waits) <= 0.1


def test_frozen_under_fifty_readers(valkey: Valkey) -> None:
    """In the middle of traffic, with a computation under way that Redis has the lock of."""
    work = Work("v", seconds=0.3)
    kept = work.kept()
    threading.Timer(0.15, valkey.freeze).start()
    got, waits = at_once(kept, 50)
    assert got == ["v"] * 50
    assert work.times <= 2
    assert max(waits) < 2.0


@pytest.mark.parametrize("fault", [freeze])
def test_an_invalidation_while_redis_is_away_holds_when_it_is_back(
    valkey: Valkey, fault: Fault
) -> None:
    """Redis has the old values still: it was only out of reach."""
    work, other = Work("old"), Work("old")
    kept, of_kind = work.kept(), other.kept("metrics", tags=())
    kept()
    of_kind()
    mend = fault(valkey)
    invalidate("thing:1")
    invalidate_kind("metrics")
    work.value = other.value = "new"
    assert (kept(), of_kind()) == ("new", "new")
    mend()
    seen = set()

    def reads_redis() -> bool:
        seen.add(kept())
        seen.add(of_kind())
        return not store().breaker.is_open

    eventually(reads_redis)
    for _ in range(20):
        reads_redis()
    assert seen == {"new"}


def test_it_is_told_though_nobody_asks(valkey: Valkey) -> None:
    """Another process, which noticed nothing, sees it then."""
    work = Work("old")
    kept = work.kept()
    kept()
    call = kept.call()
    before = store().read(call.tags)
    valkey.freeze()
    invalidate("thing:1", soft=True)
    invalidate("thing:1")
    valkey.thaw()

    def stamps() -> dict[str, bytes]:
        with redis.Redis.from_url(valkey.url) as client:
            names = [f"docmill:cache:{tag}" for tag in call.tags]
            return dict(zip(call.tags, client.mget(names), strict=True))

    eventually(lambda: sum(stamps()[tag] != before[tag] for tag in call.tags) == 1)
    eventually(lambda: not store()._pending)


def test_what_is_invalidated_meanwhile_is_not_served_here_meanwhile(valkey: Valkey) -> None:
    work = Work("older")
    kept = work.kept()
    valkey.kill()
    kept()
    work.value = "old"
    invalidate("thing:1")
    assert kept() == "old"
    work.value = "new"
    assert kept() == "old"
    invalidate("thing:1")
    assert kept() == "new"


def test_what_was_kept_here_in_one_outage_is_not_served_in_the_next(valkey: Valkey) -> None:
    """In between another process may have invalidated it, which only Redis was told."""
    work = Work("old")
    kept = work.kept()
    store()._away(OSError("gone"))
    assert (kept.outcome().status, kept.outcome().status) == ("MISS", "HIT")
    store().breaker.is_open = False
    work.value = "new"
    store()._away(OSError("gone again"))
    assert kept() == "new"


def test_what_is_invalidated_while_redis_is_told_of_it_is_told_again(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread's commit comes between the command and its answer."""
    tag, replace = tag_key("thing:1"), store().shared.replace

    def meanwhile(*given: Any) -> None:
        replace(*given)
        store()._pending[tag] = next(store()._serial), False  # and is not told yet

    Work("v").kept()()
    monkeypatch.setattr(store().shared, "replace", meanwhile)
    invalidate("thing:1")
    assert store().owes
    monkeypatch.setattr(store().shared, "replace", replace)
    before = store().shared.get_many([tag])
    assert store().read([tag]) != before
    assert not store().owes


def locks(valkey: Valkey) -> list[Any]:
    with redis.Redis.from_url(valkey.url) as client:
        return list(client.scan_iter(match="docmill:cache:l:*"))


def test_a_lock_that_redis_has_when_it_goes_is_given_back(valkey: Valkey) -> None:
    """Or for ten seconds all would wait for a computation that is over."""
    work = Work("v", go_on=threading.Event())
    thread = threading.Thread(target=work.kept())
    thread.start()
    work.began.wait(10)
    store()._away(OSError("gone"))
    store()._recover()
    assert len(locks(valkey)) == 1  # it is not over
    work.go_on.set()
    thread.join(10)
    assert len(locks(valkey)) == 1
    store()._recover()
    assert (locks(valkey), store()._held) == ([], {})


def test_a_lock_that_redis_took_without_saying_so_is_given_back(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(*given: Any) -> bool:
        type(store().shared).add(store().shared, *given)
        raise TimeoutError

    monkeypatch.setattr(store().shared, "add", add)
    assert store().hold("l:1", b"token", 10)
    store().release("l:1", b"token")
    assert len(locks(valkey)) == 1
    store()._recover()
    assert (locks(valkey), store()._held) == ([], {})


def test_hard_then_soft_is_hard_when_redis_is_back(valkey: Valkey) -> None:
    work = Work("old")
    kept = work.kept()
    kept()
    store()._away(OSError("gone"))
    invalidate("thing:1")
    invalidate("thing:1", soft=True)
    work.value = "new"
    store().breaker.is_open = False
    assert kept.outcome().status == "MISS"
    assert not store().owes


def test_what_is_kept_here_meanwhile_ends_soon(valkey: Valkey) -> None:
    now = time.monotonic()
    work = Work("v")
    kept = work.kept()
    valkey.kill()
    kept()
    store().local._clock = lambda: now
    kept()
    before = work.times
    now += stores.LOCAL_SECONDS + 1
    kept()
    assert work.times == before + 1


def test_more_than_is_remembered_invalidates_everything(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MAX_PENDING", 5)
    work = Work("old")
    kept = work.kept(tags=("other:1",))
    kept()
    valkey.freeze()
    for number in range(7):
        invalidate(f"thing:{number}")
    assert len(store()._pending) <= 7
    valkey.thaw()
    eventually(lambda: not store()._pending)
    work.value = "new"
    assert kept() == "new"


def test_more_than_is_remembered_stays_as_soft_as_it_was(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while Redis is there: all organizations may be more than that."""
    monkeypatch.setattr(stores, "MAX_PENDING", 5)
    kept = Work("v").kept(tags=("other:1",))
    kept()
    invalidate(*(f"thing:{number}" for number in range(7)), soft=True)
    assert kept.outcome().status == "STALE"


def test_what_redis_loses_is_computed_anew(valkey: Valkey) -> None:
    work = Work("v")
    kept = work.kept()
    kept()
    valkey.flushall()
    assert (kept.outcome().status, kept.outcome().status) == ("MISS", "HIT")


def test_what_was_counted_meanwhile_is_told_later(valkey: Valkey) -> None:
    kept = Work("v").kept()
    store().breaker.trip(OSError("gone"))
    for _ in range(3):
        kept()
    flusher.flush()
    assert flusher.tally
    store().breaker.is_open = False
    flusher.flush()
    minute = int(time.time() // 60)
    counted = [store().shared.counted([each])[0] for each in (minute - 1, minute)]
    assert sum(each.get("text:hit", 0) for each in counted) == 2
    assert sum(each.get("text:miss", 0) for each in counted) == 1


def test_off_computes_always_and_sends_nothing(valkey: Valkey, settings: Any) -> None:
    settings.ENABLE_CACHING = False
    work = Work("v")
    kept = work.kept()
    with commands_counted(valkey) as counted:
        assert [kept.outcome().status for _ in range(3)] == ["BYPASS"] * 3
        invalidate("thing:1")
        kept.forget()
        flusher.flush()
        assert counted() == {}
    assert work.times == 3


def test_a_stamp_outlives_every_value_that_has_it(valkey: Valkey) -> None:
    kept = Work("v").kept()
    kept()
    longest = parse_kind("text", f"{MAX_SECONDS}s + {MAX_SECONDS}s").kept
    [tag] = set(kept.call().tags) - {tag_key(kind_tag("text"))}

    def left() -> int:
        return int(store().shared._redis.ttl(f"docmill:cache:{tag}"))

    assert left() > longest
    for soft in (True, False):
        store().shared._redis.expire(f"docmill:cache:{tag}", 60)
        invalidate("thing:1", soft=soft)
        assert left() > longest


def test_a_hit_is_one_command(valkey: Valkey) -> None:
    kept = Work("v").kept(tags=("a:1", "b:2"))
    kept()
    with commands_counted(valkey) as counted:
        kept()
        assert counted() == {"mget": 1}


def test_ten_thousand_values_end_with_one_command(valkey: Valkey) -> None:
    kept = Work("v").kept(tags=("all:things",))
    for number in range(300):  # any number: it is the tag that changes
        kept(number)
    with commands_counted(valkey) as counted:
        invalidate("all:things")
        told = counted()
    assert sum(told.get(name, 0) for name in ("set", "mset", "psetex", "setex")) == 1
    assert not {"del", "unlink", "scan", "keys"} & set(told)
    assert kept.outcome(299).status == "MISS"


def test_a_refresh_that_redis_leaves_ends(valkey: Valkey) -> None:
    clock, work = Clock(), Work("old")
    kept = work.kept()
    kept()
    clock.now += 11 * 60
    work.value, work.seconds = "new", 0.3
    assert kept() == "old"
    valkey.freeze()
    eventually(lambda: cache._slots._value == 4)
    assert kept() == "new"
