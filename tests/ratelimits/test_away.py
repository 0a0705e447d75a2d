"""Redis killed, frozen, full, flushed: no exception, a bounded wait, counted all the same."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import breaker
from apps.core.breaker import ANSWER_SECONDS, FAILURES, PAUSE_SECONDS, Breaker
from apps.core.errors import Unavailable
from apps.ratelimits.decision import headers
from apps.ratelimits.redis_store import RedisStore
from apps.ratelimits.services import check, check_all, peek, refund, reset_limit
from apps.ratelimits.stores import LimitStore, store
from apps.ratelimits.subjects import EVERYTHING, Subject
from tests.servers import Valkey

ALICE = Subject.user(1)
FIRST_SECONDS, NEXT_SECONDS, BACK_SECONDS = 0.25, 0.005, 3.0


@pytest.fixture(autouse=True)
def _small(settings: Any) -> None:
    settings.LIMIT_SEARCH = "5/min"


@pytest.fixture(autouse=True)
def _as_impatient_as_it_is(_fresh_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "ANSWER_SECONDS", ANSWER_SECONDS)


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


def kill(valkey: Valkey) -> Callable[[], None]:
    valkey.kill()
    return valkey.start


def freeze(valkey: Valkey) -> Callable[[], None]:
    valkey.freeze()
    return valkey.thaw


def fill(valkey: Valkey) -> Callable[[], None]:
    """It answers, but takes no writes."""
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", 1)
    return lambda: empty(valkey)


def empty(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", 0)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def waits_past_a_pause(work: Callable[[], Any]) -> list[float]:
    """Calls `work` until a probe has been made; returns how long each call took, in seconds."""
    end, waits = time.monotonic() + PAUSE_SECONDS + 0.3, []
    while time.monotonic() < end:
        waits.append(timed(work)[1])
        time.sleep(0.005)  # as requests come, and not as fast as one thread can
    return waits


def nine_of_ten(waits: list[float]) -> float:
    """What nine of ten waits do not exceed: the slowest say what else the machine did."""
    return sorted(waits)[len(waits) * 9 // 10]


def state_changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [
        each.getMessage() for each in caplog.records if each.getMessage().startswith("limits: ")
    ]
    return [line.partition(" (")[0] for line in lines]


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("fault", [kill, freeze, fill])
def test_away_and_back(
    valkey: Valkey,
    fault: Callable[[Valkey], Callable[[], None]],
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    caplog.set_level(logging.WARNING)
    assert check("search", ALICE).source == "redis"
    mend = fault(valkey)
    request.addfinalizer(mend)
    decisions = [check("search", ALICE) for _ in range(7)]
    assert [each.allowed for each in decisions] == [True] * 5 + [False] * 2
    assert {each.source for each in decisions} == {"memory"}
    assert headers(decisions[-1:])["X-RateLimit-Limit"] == "5"
    mend()
    _, seconds = timed(wait_for_redis)
    assert seconds <= BACK_SECONDS
    assert state_changes(caplog) == ["limits: Redis is away", "limits: Redis is back"]


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.alone  # it measures milliseconds
@pytest.mark.parametrize("fault", [kill, freeze])
def test_one_request_waits_and_not_for_long(
    valkey: Valkey, fault: Callable[[Valkey], Callable[[], None]]
) -> None:
    check("search", ALICE)
    fault(valkey)
    decision, seconds = timed(lambda: check("search", ALICE))
    assert decision.source == "memory"
    assert seconds <= FIRST_SECONDS
    # Longer than a pause: probes keep nobody waiting either.
    waits = waits_past_a_pause(lambda: check("search", ALICE))
    assert nine_of_ten(waits) <= NEXT_SECONDS
    assert max(waits) <= 0.1  # whoever asks a frozen Redis waits for ANSWER_SECONDS


def test_what_takes_no_writes_is_not_back(valkey: Valkey, request: pytest.FixtureRequest) -> None:
    redis_store = RedisStore(valkey.url)
    redis_store.probe()
    request.addfinalizer(fill(valkey))
    with pytest.raises(FAILURES):
        redis_store.probe()
    redis_store.client.close()


def wait_for_redis() -> None:
    while peek([("search", ALICE)]).source != "redis":
        time.sleep(0.01)


@pytest.mark.once
def test_flushed_scripts_are_sent_again_and_flushed_counts_begin_anew(
    client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    assert check("search", ALICE).allowed
    client.script_flush()
    second = check("search", ALICE)
    assert second.source == "redis"
    assert second.parts[0].windows[0].used == 2
    client.flushall()
    assert check("search", ALICE).parts[0].windows[0].used == 1
    assert caplog.records == []


@pytest.mark.django_db
def test_guessing_passwords_gets_no_cheaper(valkey: Valkey, settings: Any) -> None:
    """Counted for all processes, those that start meanwhile too; what went well is given back."""
    settings.LIMIT_AUTH = "5/15min"
    subjects = [Subject.address("203.0.113.9"), Subject.account("alice@example.com")]
    valkey.kill()
    good = check("auth", subjects)
    assert good.source == "sql"
    assert [check("auth", subjects).allowed for _ in range(2)] == [True, True]
    store.cache_clear()
    assert [check("auth", subjects).allowed for _ in range(3)] == [True, True, False]
    refund(good)
    assert [check("auth", subjects).allowed for _ in range(2)] == [True, False]
    # Nobody else is locked out.
    assert check("auth", Subject.address("203.0.113.8")).allowed


def test_a_limiter_that_is_to_fail_closed_refuses(valkey: Valkey, settings: Any) -> None:
    settings.LIMITS_FAIL_CLOSED = ["search"]
    valkey.kill()
    decision = check_all([("search", ALICE), ("global", EVERYTHING)])
    assert not decision.allowed
    assert decision.is_away
    assert decision.limiter == "search"
    assert headers([decision]) == {"Retry-After": "2"}
    assert check("global", EVERYTHING).allowed


def test_without_redis_each_process_counts(valkey: Valkey, settings: Any) -> None:
    valkey.kill()
    settings.LIMITS_REDIS_URL = "memory"
    assert [check("search", ALICE).allowed for _ in range(6)] == [True] * 5 + [False]
    assert store().redis is None


def test_what_was_decided_meanwhile_is_told_later(valkey: Valkey, client: redis.Redis) -> None:
    away = store()
    away.breaker.trip(OSError("gone"))
    for _ in range(7):
        check("search", ALICE)
    away.breaker.is_open = False
    check("search", ALICE)
    counted: Counter[str] = Counter()
    for key in client.keys("docmill:limits:statistics:*"):
        counted.update({name.decode(): int(n) for name, n in client.hgetall(key).items()})
    assert counted == {"search:allowed": 6, "search:refused": 2, "search:standby": 7}


def test_one_probe_at_a_time_and_one_line_for_each_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, probes, is_there = 0.0, 0, False

    def probe() -> None:
        nonlocal probes
        probes += 1
        if not is_there:
            raise OSError

    breaker = Breaker(
        probe,
        name="limits",
        meanwhile="counted here",
        clock=lambda: now,
        spawn=lambda work: work(),
    )
    assert breaker.is_closed()
    for _ in range(3):
        breaker.trip(OSError("gone"))
    assert [breaker.is_closed() for _ in range(3)] == [False] * 3
    assert probes == 0
    now = PAUSE_SECONDS
    assert [breaker.is_closed() for _ in range(3)] == [False] * 3
    assert probes == 1
    is_there, now = True, 2 * PAUSE_SECONDS
    assert breaker.is_closed()
    assert state_changes(caplog) == ["limits: Redis is away", "limits: Redis is back"]


def test_a_server_that_cannot_be_reached_at_all() -> None:
    """An address that nobody answers: the connection itself is given up in time."""
    away = LimitStore(RedisStore("redis://192.0.2.1:6379"))
    asks: list[Any] = []
    _, seconds = timed(lambda: away.decide(asks, hit=True))
    assert seconds <= FIRST_SECONDS


@pytest.mark.django_db
def test_a_reset_that_redis_does_not_hear_of_is_refused(valkey: Valkey, alice: User) -> None:
    valkey.kill()
    for _ in range(2):
        with pytest.raises(Unavailable):
            reset_limit(actor=alice, name="search", subject=ALICE)
    assert not AuditEntry.objects.filter(action="limit.reset").exists()
