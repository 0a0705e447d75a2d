"""Names in the store tell nothing, and the same value has the same one; times as people write them;
bounds of what a process keeps; and what is refused at the start."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import redis

from apps.caching import keys
from apps.caching.checks import check_cache
from apps.caching.decorators import cached
from apps.caching.keys import tag_key, value_key
from apps.caching.kinds import Kind, kinds, parse_kind
from apps.caching.memory_cache import ENTRY_BYTES, MemoryCache
from apps.core.durations import seconds_of
from tests.caching.works import Work
from tests.servers import Valkey

pytestmark = pytest.mark.once

SECRETS = ("alice@example.com", "Quarterly figures", "Hausordnung", "42424242")


@cached("default", tenant=None)
def told(first: Any, second: Any = 2, *, third: Any = 3) -> str:
    return f"{first} {second} {third}"


def test_a_key_has_no_argument_in_it_and_every_key_ends(valkey: Valkey) -> None:
    for secret in SECRETS:
        told(secret, {"name": secret}, third=[secret])
        Work("v").kept(tags=(f"person:{secret}",))()
    told(42424242)
    with redis.Redis.from_url(valkey.url) as client:
        names = [name.decode() for name in client.scan_iter(match="docmill:cache:*")]
        assert len(names) > 10
        assert all(client.ttl(name) > 0 for name in names)
        values = [name for name in names if ":v:" in name]
        assert max(map(client.ttl, values)) <= max(kind.kept for kind in kinds().values())
    for name in names:
        assert not any(secret.lower() in name.lower() for secret in SECRETS), name


def test_equal_arguments_have_one_key_however_they_are_given() -> None:
    same = {
        told.call(1).key,
        told.call(first=1).key,
        told.call(1, 2).key,
        told.call(1, third=3, second=2).key,
        told.call(third=3, second=2, first=1).key,
    }
    assert len(same) == 1


def test_what_is_not_equal_has_keys_of_its_own() -> None:
    day = datetime(2026, 1, 31, tzinfo=UTC)
    unlike: list[Any] = [
        *(1, 1.0, True, "1", b"1", Decimal(1), None, "None", "", [], [1], ["1"], {}, {"1": 1}),
        *({"": 1}, {":": 1}, [[1]], {1}, uuid.UUID(int=1), str(uuid.UUID(int=1)), day, str(day)),
        *({"": ["UUID", repr(uuid.UUID(int=1))]}, day.date(), [1, [2]], [[1], 2]),
    ]
    assert len({told.call(each).key for each in unlike}) == len(unlike)
    assert told.call(1, 2).key != told.call(2, 1).key
    assert value_key("text", "f 1", [1]) != value_key("text", "f 2", [1])
    assert told.call([1, 2]).key == told.call((1, 2)).key
    assert told.call({"a": 1, "b": 2}).key == told.call({"b": 2, "a": 1}).key
    assert told.call({1, 2, 3}).key == told.call({3, 2, 1}).key


def test_without_the_secret_nobody_can_tell_what_was_asked(settings: Any) -> None:
    before = told.call(1).key, tag_key("org:7")
    settings.SECRET_KEY = "another one, of some other installation"
    assert (told.call(1).key, tag_key("org:7")) != before
    assert told.call(1).key != before[0]
    assert tag_key("org:7") != before[1]


@pytest.mark.parametrize("argument", [object(), {1: 2}, [object()], lambda: None])
def test_an_argument_that_says_too_little_is_refused(argument: Any) -> None:
    with pytest.raises(TypeError, match="give its id"):
        told(argument)


def test_a_call_that_the_function_would_refuse_is_refused() -> None:
    calls: list[Any] = [
        told,
        lambda: told(1, fourth=4),
        lambda: told(*range(4)),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("tag", ["", "org", "org:", ":7", "o rg:7", "org*:7"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="is no tag"):
        keys.class_of(tag)


def test_a_value_of_an_organization_is_not_kept_without_one() -> None:
    kept = Work("v").kept(tenant="argument")
    for nobody in (None, ""):
        with pytest.raises(ValueError, match="without a tenant"):
            kept(nobody)
    assert kept.call(1).key != kept.call(2).key
    assert tag_key("org:1") in kept.call(1).tags
    assert tag_key("org:1") not in kept.call(2).tags
    with pytest.raises(ValueError, match="no parameter"):
        Work("v").kept(tenant="organization")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("10min", (600, 600)),
        ("90s + 1h", (90, 3600)),
        ("1 hour+0s", (3600, 0)),
        (" OFF ", (0, 0)),
    ],
)
def test_times_of_kinds(text: str, kind: tuple[int, int]) -> None:
    assert parse_kind("text", text) == Kind("text", *kind)


@pytest.mark.parametrize("text", ["", "ten minutes", "10", "0s", "2d", "1h + 2d", "1h + ", "-5min"])
def test_times_that_mean_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"no length of time|from 1 second to a day"):
        parse_kind("text", text)


def test_lengths_of_time() -> None:
    lengths = ["1s", "90 secs", "15min", "2 hours", "1 day"]
    assert [seconds_of(each) for each in lengths] == [1, 90, 900, 7200, 86400]


DEFAULTS = {
    "analysis": 3600,
    "metrics": 300,
    "search": 180,
    "metadata": 300,
    "text": 600,
    "embeddings": 3600,
    "default": 600,
}


def test_the_table_is_whole() -> None:
    assert {kind.name: kind.ttl for kind in kinds().values()} == DEFAULTS
    assert all(kind.grace == kind.ttl for kind in kinds().values())


def test_the_settings_are_sound() -> None:
    assert check_cache() == []


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("CACHE_TEXT", "soon", "CACHE_TEXT: 'soon' is no length of time"),
        ("CACHE_LOCAL_ENTRIES", 0, "CACHE_LOCAL_ENTRIES must be at least 100"),
        ("CACHE_LOCAL_BYTES", 10, "CACHE_LOCAL_BYTES must be at least 100000"),
    ],
)
def test_a_setting_that_means_nothing(settings: Any, setting: str, value: Any, told: str) -> None:
    setattr(settings, setting, value)
    [error] = check_cache()
    assert told in error.msg


@pytest.mark.parametrize(
    ("backend", "location", "told"),
    [
        ("apps.caching.shared_cache.SharedCache", "http://localhost", "Redis URL must specify"),
        ("django.core.cache.backends.locmem.LocMemCache", "", "must be one of apps.caching"),
    ],
)
def test_a_cache_that_is_none(settings: Any, backend: str, location: str, told: str) -> None:
    values = {"BACKEND": backend, "LOCATION": location}
    settings.CACHES = {**settings.CACHES, "values": values}
    [error] = check_cache()
    assert (error.id, told in error.msg) == ("caching.E003", True)


def test_what_a_process_keeps_is_bounded_in_entries_and_bytes(settings: Any) -> None:
    settings.CACHE_LOCAL_ENTRIES, settings.CACHE_LOCAL_BYTES = 100, 100_000
    memory = MemoryCache()
    for number in range(300):
        memory.set(f"{number:03}", b"1", 60)
        memory.get("000")  # asked for again and again
    assert memory.used == (100, 100 * (ENTRY_BYTES + 4))
    assert memory.get("000") == b"1"
    assert memory.get("150") is None
    for number in range(300):
        memory.set(f"{number:03}", bytes(10_000), 60)
        assert memory.used[1] <= 100_000
    memory.set("large", bytes(50_000), 60)
    assert memory.get("large") is None


def test_what_a_process_keeps_ends() -> None:
    now = 0.0
    memory = MemoryCache(clock=lambda: now)
    memory.set("a", b"1", 60)
    assert not memory.add("a", b"2", 60)
    now = 60.0
    assert memory.get_many(["a"]) == {}
    assert memory.used == (0, 0)
    assert memory.add("a", b"2", 60)
