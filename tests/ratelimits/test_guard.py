"""django-ratelimit before the pages that anybody may open, with Redis up and down."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import Client

from apps.accounts.models import User
from apps.core import breaker
from apps.core.breaker import ANSWER_SECONDS
from apps.ratelimits.checks import check_limits
from apps.ratelimits.redis_store import PREFIX
from tests.conftest import ClientFor
from tests.ratelimits.commands import commands_counted
from tests.servers import Valkey

pytestmark = pytest.mark.django_db

PAGES = ("/sign-in", "/password", "/sign-up")


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.ENABLE_SIGNUP = True
    settings.LIMIT_GUARD = "3/h"


@pytest.fixture(autouse=True)
def _as_impatient_as_it_is(_fresh_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "ANSWER_SECONDS", ANSWER_SECONDS)


@pytest.fixture(autouse=True)
def _empty_memory() -> None:
    caches["guard"]._memory.clear()


def statuses(path: str, address: str = "192.0.2.1", times: int = 5) -> list[int]:
    return [Client().get(path, REMOTE_ADDR=address).status_code for _ in range(times)]


@pytest.mark.parametrize("path", PAGES)
def test_each_page_lets_so_many_through(path: str) -> None:
    assert statuses(path) == [200] * 3 + [429] * 2
    assert statuses(path, "192.0.2.2") == [200] * 3 + [429] * 2


def test_the_upload_page_too(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    assert [browser.get("/jobs/new").status_code for _ in range(4)] == [200] * 3 + [429]


def test_the_refusal_says_when_to_come_back() -> None:
    statuses("/sign-in", times=3)
    answer = Client().get("/sign-in", REMOTE_ADDR="192.0.2.1")
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert answer["X-RateLimit-Limit"] == "3"
    assert answer["X-RateLimit-Remaining"] == "0"
    assert "Try again in" in answer.content.decode()


def test_an_address_is_what_the_limits_take_for_one(settings: Any) -> None:
    """No forged header, and the whole /64 of IPv6."""
    answers = [
        Client().get(
            "/sign-in", REMOTE_ADDR=f"2001:db8::{n}", headers={"X-Forwarded-For": f"9.9.9.{n}"}
        )
        for n in range(1, 5)
    ]
    assert [each.status_code for each in answers] == [200] * 3 + [429]
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    for n in range(6):
        through = {"X-Forwarded-For": f"1.2.3.4, 198.51.100.{n}"}
        assert Client().get("/sign-in", REMOTE_ADDR="10.0.0.1", headers=through).status_code == 200


def kill(valkey: Valkey) -> None:
    valkey.kill()


def freeze(valkey: Valkey) -> None:
    valkey.freeze()


def full(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", 1)


@pytest.mark.once
@pytest.mark.parametrize("fault", [kill, freeze, full])
def test_it_counts_in_memory_while_redis_is_away(
    valkey: Valkey, fault: Callable[[Valkey], None], request: pytest.FixtureRequest
) -> None:
    def mend() -> None:
        if fault is full:
            with redis.Redis.from_url(valkey.url) as client:
                client.config_set("maxmemory", 0)

    request.addfinalizer(mend)
    fault(valkey)
    started = time.perf_counter()
    assert statuses("/sign-in") == [200] * 3 + [429] * 2
    assert time.perf_counter() - started < 3


@pytest.mark.once
def test_it_goes_on_in_memory_in_the_middle_of_a_window(valkey: Valkey) -> None:
    assert statuses("/sign-in", times=1) == [200]
    valkey.kill()
    assert statuses("/sign-in") == [200] * 3 + [429] * 2


def test_what_is_stored_tells_of_nobody_and_ends(valkey: Valkey) -> None:
    statuses("/sign-in", "198.51.100.77")
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        keys = list(client.scan_iter(f"{PREFIX}rl:*"))
        assert len(keys) == 1
        assert "198.51" not in keys[0]
        assert 0 < client.ttl(keys[0]) <= 3605
        # One that expired between being looked for and being raised ends as well.
        client.delete(keys[0])
        assert caches["guard"].incr(keys[0].removeprefix(PREFIX)) == 1
        assert 0 < client.ttl(keys[0]) <= 60


@pytest.mark.parametrize(
    ("setting", "value"), [("ENABLE_RATE_LIMITING", False), ("LIMIT_GUARD", "unlimited")]
)
def test_turned_off_it_asks_nothing(
    settings: Any, valkey: Valkey, setting: str, value: object
) -> None:
    setattr(settings, setting, value)
    with commands_counted(valkey) as counted:
        assert statuses("/sign-in") == [200] * 5
        assert not {"set", "incrby"} & set(counted())


@pytest.mark.parametrize("value", ["often", "5/min, 50/h", ""])
def test_a_guard_that_means_nothing_is_refused_at_the_start(settings: Any, value: str) -> None:
    settings.LIMIT_GUARD = value
    [error] = check_limits()
    assert error.id == "ratelimits.E001"
    assert "LIMIT_GUARD" in error.msg
