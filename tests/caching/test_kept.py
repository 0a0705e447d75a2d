"""What is kept and for how long: the same in memory and in Redis."""

import logging
import math
import os
import threading
import time
import uuid
from typing import Any

import pytest
from django.utils.safestring import mark_safe

from apps.caching import cache as caching
from apps.caching import envelope, statistics
from apps.caching.cache import Cache, cache
from apps.caching.envelope import Times
from apps.caching.keys import digest
from apps.caching.stores import store
from apps.queue.states import State
from tests.caching.works import Clock, Work, at_once
from tests.processes import eventually

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _each(kept_in: str) -> None:
    """Every test here, in every store."""


@pytest.mark.parametrize(
    "value",
    [None, "", "text \ud800 é", b"\x00bytes", 7, 1.5, True, [], {"a": [1, None]}, "long " * 5000],
)
def test_a_value_is_computed_once_and_comes_back_as_it_was(value: Any) -> None:
    work = Work(value)
    kept = work.kept()
    assert [kept(), kept()] == [value, value]
    assert type(kept()) is type(value)
    assert work.times == 1


def test_what_is_long_is_packed() -> None:
    kept = Work("long " * 5000).kept()
    kept()
    key = kept.call().key
    assert len(store().read([key])[key]) < 1000


def test_everybody_gets_a_copy_and_the_first_the_same_as_the_rest() -> None:
    kept = Work({"pages": (1, 2)}).kept()
    first = kept()
    first["pages"].append(3)
    assert kept() == {"pages": [1, 2]}


@pytest.mark.parametrize("value", [mark_safe("<b>"), State.QUEUED, type("Own", (bytes,), {})(b"1")])
def test_a_kind_of_text_is_text_the_first_time_too(value: Any) -> None:
    """Or what is safe to be shown would be so for the first and not for the rest."""
    kept = Work(value).kept()
    assert type(kept()) is type(kept()) is (bytes if isinstance(value, bytes) else str)


def test_what_is_raised_is_not_kept() -> None:
    work = Work(OSError("gone"))
    kept = work.kept()
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            kept()
    work.value = "there"
    assert kept() == "there"
    assert work.times == 3


@pytest.mark.parametrize("value", [object(), {1}, {"at": uuid.uuid4()}, float("nan")])
def test_what_json_cannot_say_is_refused_the_first_time(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Work(value).kept()()


def test_what_is_too_large_is_computed_each_time() -> None:
    work = Work(os.urandom(2 * 1024 * 1024))
    kept = work.kept()
    assert kept() == kept() == work.value
    assert work.times == 2


@pytest.mark.parametrize("value", ["short", "long " * 5000, b"\x00" * 100, {"a": ["b", 1]}])
def test_a_value_that_is_damaged_is_computed_anew(value: Any) -> None:
    """It is no value at all: whoever finds it computes, and says so."""
    work = Work(value)
    kept = work.kept()
    kept()
    call = kept.call()
    stored = store().read([call.key])[call.key]
    entry = envelope.unpack(stored, call.key, digest)
    assert entry
    foreign = [
        *(b"nonsense", b"", stored[:10], stored[:-1], stored[:-40], stored + b"x"),
        envelope.pack(entry._replace(form=b"t" if entry.form != b"t" else b"b")),
        envelope.pack(entry._replace(is_packed=not entry.is_packed)),
        envelope.pack(entry._replace(body=bytes([entry.body[0] ^ 1]) + entry.body[1:])),
        *(envelope.pack(entry._replace(took=took)) for took in (math.nan, math.inf, 1e30, -1.0)),
        envelope.pack(entry._replace(times=Times(math.nan, math.nan, math.nan))),
    ]
    for number, each in enumerate(foreign):
        store().write(call.key, each, 60)
        outcome = kept.outcome()
        assert (outcome.status, outcome.value) == ("MISS", value), number
        assert (kept.outcome().status, kept()) == ("HIT", value), number
    statistics.flusher.flush()
    assert not statistics.flusher.tally


def test_what_is_stored_for_another_call_is_not_served() -> None:
    """Also not where all it is stored with fits: an answer that came for somebody else's question,
    or that somebody put there."""
    kept = Work().kept()
    mine, others = (kept.call(each)._replace(work=lambda each=each: each) for each in ("me", "you"))
    for call in (mine, others):
        cache.get(call)
    store().write(mine.key, store().read([others.key])[others.key], 60)
    assert (cache.get(mine).status, cache.get(mine).value) == ("MISS", "me")


# --- cold


def test_a_cold_key_is_computed_once_for_fifty_threads() -> None:
    work = Work("v", seconds=0.1)
    got, waits = at_once(work.kept(), 50)
    assert got == ["v"] * 50
    assert work.times == 1
    assert max(waits) < 5.0  # tests/caching/test_cold.py measures it


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError("gone")])
def test_who_waits_gets_the_error_of_the_computation_and_nobody_computes_again(
    error: Exception,
) -> None:
    """Also one that says that time is up: that of the computation, not of the waiting."""
    work = Work(error, seconds=0.2)
    kept = work.kept()

    def call() -> str:
        with pytest.raises(OSError, match="gone"):
            kept()
        return "raised"

    got, _ = at_once(call, 10)
    assert got == ["raised"] * 10
    assert work.times == 1


def test_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited for too long computes by themselves."""
    monkeypatch.setattr(caching, "WAIT_SECONDS", 0.1)
    work = Work("v", go_on=threading.Event())
    kept = work.kept()
    threads = [threading.Thread(target=kept) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: work.times == 3)
    work.go_on.set()
    for thread in threads:
        thread.join(10)


@pytest.mark.alone  # it measures
def test_the_lock_of_one_who_died_passes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "LOCK_SECONDS", 0.3)
    work = Work("v")
    kept = work.kept()
    call = kept.call()
    stamps = cache._stamps(call, cache._look(call))
    assert store().add(caching.lock_key(call.key, stamps), b"of a dead process", 0.3)
    began = time.monotonic()
    assert kept() == "v"
    assert 0.2 < time.monotonic() - began < 1.0
    assert work.times == 1


def test_who_is_late_does_not_release_the_lock_of_the_next_one() -> None:
    store().add("l:it", b"of the next one", 60)
    store().release("l:it", b"of one who took too long")
    assert not store().add("l:it", b"of a third", 60)
    store().release("l:it", b"of the next one")
    assert store().add("l:it", b"of a third", 60)


def test_who_gets_the_lock_looks_again_before_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may have ended its computation between the first look and the lock."""
    work = Work("v")
    call = work.kept().call()
    cache._stamps(call, cache._look(call))
    hold, others = store().hold, [Cache()]

    def late(*given: Any) -> bool:
        if others:
            others.pop().get(call)
        return hold(*given)

    monkeypatch.setattr(store(), "hold", late)
    assert cache.get(call).value == "v"
    assert work.times == 1


def test_who_waited_for_too_long_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work("mine", go_on=threading.Event())
    call = work.kept().call()
    stamps = cache._stamps(call, cache._look(call))
    entry = cache._worked(call._replace(work=lambda: "theirs"), stamps, "MISS").entry
    thread = threading.Thread(target=cache.get, args=(call,))
    thread.start()
    work.began.wait(10)
    monkeypatch.setattr(caching, "wait", lambda *_: cache._keep(call, entry))
    assert cache.get(call).value == "theirs"
    work.go_on.set()
    thread.join(10)
    assert work.times == 1


# --- off, and what is told of it


def test_a_kind_that_is_off_is_computed_each_time(settings: Any) -> None:
    settings.CACHE_TEXT = "off"
    work = Work("v")
    kept = work.kept()
    assert [kept.outcome().status, kept.outcome().status] == ["BYPASS", "BYPASS"]
    assert work.times == 2


def test_the_numbers_are_those_of_a_hand_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="apps.caching")
    clock, work = Clock(), Work("v", seconds=0.02)
    kept = work.kept()
    for _ in range(4):
        kept()  # a miss, three hits
    work.seconds = 0.2  # no thread is that late
    at_once(lambda: kept(2), 3)  # a miss, two that wait
    clock.now += 11 * 60
    kept()  # stale
    eventually(lambda: work.times == 3)
    with pytest.raises(OSError, match="gone"):
        Work(OSError("gone")).kept()()
    minute = int(time.time() // 60)
    told = statistics.numbers([minute - 1, minute])
    assert told is not None
    fields = statistics.together(told)["text"]
    assert {name: fields[name] for name in statistics.OUTCOMES} == {
        "hit": 3,
        "miss": 2,
        "wait": 2,
        "stale": 1,
        "error": 1,
    }
    assert statistics.hit_rate(fields) == 4 / 8
    assert fields["saved_ms"] >= 6 * 20
    lines = [each.getMessage().rsplit(" ", 1)[0] for each in caplog.records]
    assert lines.count("cache HIT text") == 3
    assert lines.count("cache MISS text") == 2
    sizes = statistics.sizes()
    assert sizes is not None
    assert sizes["text"][0] == 2
    assert sizes["text"][1] > 100
