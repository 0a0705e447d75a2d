"""What is in Redis under our names and is not ours."""

import time
from typing import Any

import pytest

from apps.caching import statistics
from apps.caching.invalidation import invalidate, invalidate_kind
from apps.caching.keys import NUMBERS
from apps.caching.services import clear
from apps.caching.statistics import flusher
from apps.caching.stores import store
from tests.caching.works import Work
from tests.servers import Valkey

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

FOREIGN = (b"x", b"x" * 17, ["a", "list"])


def put(name: str, foreign: Any) -> None:
    client = store().shared._redis
    client.delete(f"docmill:cache:{name}")
    if isinstance(foreign, bytes):
        client.set(f"docmill:cache:{name}", foreign)
    else:
        client.rpush(f"docmill:cache:{name}", *foreign)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_stands_in_the_way_is_put_aside(valkey: Valkey, foreign: Any) -> None:
    work = Work("v")
    kept = work.kept()
    call = kept.call()
    for name in (call.key, *call.tags):
        kept()
        put(name, foreign)
        assert (kept.outcome().status, kept.outcome().status) == ("MISS", "HIT"), name
    put(call.tags[0], foreign)
    invalidate_kind("text", soft=True)
    invalidate("thing:1")
    assert (kept.outcome().status, kept.outcome().status) == ("MISS", "HIT")
    assert (store().breaker.is_open, store()._pending) == (False, {})


def test_numbers_and_names_that_are_not_ours_are_passed_over(valkey: Valkey) -> None:
    client, minute = store().shared._redis, int(time.time() // 60)
    client.set(b"docmill:cache:v:text:\xff", b"1", ex=60)
    client.rpush("docmill:cache:v:text:list", "1")
    for number in (minute, minute + 1):
        put(f"{NUMBERS}{number}", b"x")
    client.hset(
        f"docmill:cache:{NUMBERS}{minute - 1}",
        mapping={"text:hit": "x", "text:miss": 3, b"\xff": 1},
    )
    Work("v").kept()()
    told = statistics.numbers([minute - 1, minute])
    assert told is not None
    assert statistics.together(told)["text"] == {"miss": 3}
    assert (statistics.sizes() or {})["text"][0] >= 1
    assert clear(by=None) >= 1
    assert (store().breaker.is_open, bool(flusher.tally)) == (False, False)
