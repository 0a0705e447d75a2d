"""What stands in Redis, for how long, and how often it is asked."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.ratelimits import rulebook
from apps.ratelimits.ledger import Ask
from apps.ratelimits.recent import KEPT_SECONDS
from apps.ratelimits.redis_store import STAMP, RedisStore
from apps.ratelimits.rulebook import Ruling
from apps.ratelimits.services import check, check_all, peek, refund, reset_limit
from apps.ratelimits.stores import LimitStore, store
from apps.ratelimits.subjects import EVERYTHING, Subject
from apps.ratelimits.windows import Window
from tests.ratelimits.benches import Bench, RedisBench
from tests.servers import Valkey

pytestmark = pytest.mark.once
ALICE = Subject.user(1)
ACME = Subject.organization(uuid.UUID(int=7))


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Subject, Ruling], None]:
    """Lays down a rule in this process."""
    rules: dict[tuple[str, str, bool], Ruling] = {}

    def found(name: str, subjects: Sequence[Subject], *, shadow: bool) -> Ruling | None:
        found = (rules.get((name, subject.key, shadow)) for subject in subjects)
        return next(filter(None, found), None)

    monkeypatch.setattr(rulebook.book, "find", found)

    def lay_down(limiter: str, subject: Subject, ruling: Ruling) -> None:
        rules[limiter, subject.key, ruling.shadow] = ruling

    return lay_down


@contextmanager
def commands(client: redis.Redis) -> Iterator[list[str]]:
    """The commands that reach the server meanwhile, but for those of its scripts."""
    seen: list[str] = []
    with client.client() as mark, client.monitor() as monitor:
        mark.ping()
        monitor.next_command()
        yield seen
        mark.echo("the end")
        while (command := monitor.next_command())["command"] != "ECHO the end":
            if command["client_type"] != "lua":
                seen.append(command["command"].split()[0])


def test_three_subjects_take_one_round_trip_and_no_query(
    client: redis.Redis, django_assert_num_queries: DjangoAssertNumQueries, db: None
) -> None:
    pairs = [("search", ALICE), ("upload", ACME), ("global", EVERYTHING)]
    check_all(pairs)
    with commands(client) as seen, django_assert_num_queries(0):
        assert check_all(pairs).allowed
    assert seen == ["EVALSHA"]


def test_who_hammers_costs_nothing_for_a_second(client: redis.Redis, settings: Any) -> None:
    settings.LIMIT_SEARCH = "1/20s"
    check("search", ALICE)
    told = check("search", ALICE)
    with commands(client) as seen:
        again = [check("search", ALICE) for _ in range(50)]
    assert seen == []
    assert not any(each.allowed for each in again)
    assert 0 < again[-1].parts[0].wait_ms <= told.parts[0].wait_ms
    assert again[-1].at_ms >= told.at_ms
    time.sleep(KEPT_SECONDS)
    with commands(client) as seen:
        assert not check("search", ALICE).allowed
    assert seen == ["EVALSHA"]


@pytest.mark.alone  # it measures
def test_after_the_wait_that_was_told_it_passes(settings: Any) -> None:
    """And not a moment before: also for who was refused from memory meanwhile."""
    settings.LIMIT_SEARCH = "1/s"
    check("search", ALICE)
    time.sleep(0.7)
    before = time.monotonic()
    wait = check("search", ALICE).parts[0].wait_ms / 1000
    after = time.monotonic()
    while not (decision := check("search", ALICE)).allowed:
        assert time.monotonic() < after + wait + 0.5
    assert decision.allowed
    assert time.monotonic() >= before + wait


def test_off_sends_no_command(client: redis.Redis, settings: Any) -> None:
    settings.ENABLE_RATE_LIMITING = False
    with commands(client) as seen:
        decision = check_all([("search", ALICE), ("global", EVERYTHING)])
        refund(decision)
        peek([("search", ALICE)])
    assert seen == []


def test_nothing_readable_and_nothing_for_ever(client: redis.Redis) -> None:
    address, email, session = "203.0.113.9", "alice@example.com", "sessiontoken0123456789"
    check("anonymous", [Subject.address(address), Subject.address("2001:db8:77:88::9")])
    check("auth", [Subject.address(address), Subject.account(email)])
    check("live", Subject.session(session))
    refund(check("api", [ALICE, Subject.api_key(uuid.uuid4())]))
    check_all([("upload", ACME), ("global", EVERYTHING)])
    store().redis.probe()  # type: ignore[union-attr]  # there is one
    keys = client.keys("*")
    assert len(keys) >= 8
    for key in keys:
        assert client.pttl(key) > 0, key
        kept = key + (client.dump(key) or b"")
        for readable in (address, email, "alice", "2001:db8", session):
            assert readable.encode() not in kept


@pytest.mark.parametrize(
    ("window", "most"), [(Window(5, 900), 128), (Window(60, 60), 350), (Window(1000, 3600), 4500)]
)
def test_the_size_of_a_full_log(valkey: Valkey, window: Window, most: int) -> None:
    bench = RedisBench(valkey.url)
    ask = Ask("api:u1", (window,))
    step = window.milliseconds // window.limit
    while bench.decide([ask], hit=True).allowed:
        bench.advance(step // 2)
    client = bench.store.client
    assert window.limit * 4 < client.memory_usage("docmill:limits:api:u1") <= most
    for _ in range(2 * window.limit):  # and it does not grow
        bench.advance(step)
        bench.decide([ask], hit=True)
    assert client.memory_usage("docmill:limits:api:u1") <= most
    client.close()


@pytest.mark.parametrize("back_ms", [5_000, 86_400_000])
def test_a_clock_that_goes_back_locks_nobody_out_and_admits_no_more(
    bench: Bench, back_ms: int
) -> None:
    ask = Ask("search:u1", (Window(5, 60),))
    for _ in range(5):
        assert bench.decide([ask], hit=True).allowed
        bench.advance(1000)
    bench.advance(-back_ms)
    refused = bench.decide([ask], hit=True)
    assert not refused.allowed
    assert refused.verdicts[0].wait_ms <= 60_000
    bench.advance(refused.verdicts[0].wait_ms)
    assert bench.decide([ask], hit=True).allowed
    assert not bench.decide([ask], hit=True).allowed


def test_times_more_than_a_month_apart_are_kept_right(bench: Bench) -> None:
    """The distances in a log do not run over while it is in use without a pause."""
    day = 86_400_000
    ask = Ask("share:u1", (Window(3, 31 * 86400),))
    for _ in range(12):
        for _ in range(3):
            assert bench.decide([ask], hit=True).allowed
            bench.advance(10 * day)
        answer = bench.decide([ask], hit=False)
        assert not answer.allowed
        assert day - 100 <= answer.verdicts[0].wait_ms <= day
        bench.advance(day)


def test_the_stamp_of_the_rules_rides_along(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(rulebook, "heard", heard.append)
    check("search", ALICE)
    client.set(STAMP, "41", ex=60)
    check("search", ALICE)
    assert heard == ["", "41"]


def test_a_rule_gives_another_limit(rule: Callable[..., None]) -> None:
    rule("search", ACME, Ruling((Window(1, 60),)))
    assert check("search", ALICE, caller=[ACME]).allowed
    assert not check("search", ALICE, caller=[ACME]).allowed
    assert check("search", ALICE).allowed
    rule("search", ALICE, Ruling())
    assert check("search", ALICE, caller=[ACME]).parts == ()


def test_who_is_blocked_is_refused_until_then(rule: Callable[..., None]) -> None:
    rule("search", ALICE, Ruling(blocked_until=time.time() + 100))
    decision = check_all([("global", EVERYTHING), ("search", ALICE)])
    assert not decision.allowed
    assert decision.retry_after == 100
    assert peek([("global", EVERYTHING)]).parts[0].windows[0].used == 0
    looked = peek([("global", EVERYTHING), ("search", ALICE)])
    assert (looked.allowed, looked.limiter, len(looked.parts)) == (False, "search", 2)
    rule("search", ALICE, Ruling((Window(1, 60),), blocked_until=time.time() - 1))
    assert check("search", ALICE).allowed


def test_a_shadow_refuses_nobody_and_is_counted(
    rule: Callable[..., None], client: redis.Redis
) -> None:
    rule("search", ALICE, Ruling((Window(1, 60),), shadow=True))
    pairs = [("search", ALICE), ("global", EVERYTHING)]
    assert [check_all(pairs).allowed for _ in range(3)] == [True] * 3
    assert peek([("global", EVERYTHING)]).parts[0].windows[0].used == 3
    assert statistics(client, "search:shadow") == 2
    assert statistics(client, "search:allowed") == 3


def statistics(client: redis.Redis, field: str) -> int:
    keys = client.keys("docmill:limits:statistics:*")
    return sum(int(client.hget(key, field) or 0) for key in keys)


def test_a_reset_is_in_force_everywhere_within_a_second_and_audited(
    alice: User, valkey: Valkey, settings: Any
) -> None:
    settings.LIMIT_SEARCH = "1/min"
    ask = [Ask("search:u1", (Window(1, 60),), tally="search")]
    elsewhere = LimitStore(RedisStore(valkey.url))
    check("search", ALICE)
    assert not check("search", ALICE).allowed
    assert not elsewhere.decide(ask, hit=True).allowed
    reset_limit(actor=alice, name="search", subject=ALICE, told="alice", reason="asked to")
    assert check("search", ALICE).allowed
    reset_limit(actor=alice, name="search", subject=ALICE)
    time.sleep(1)
    assert elsewhere.decide(ask, hit=True).allowed
    entry = AuditEntry.objects.filter(action="limit.reset").order_by("number")[0]
    assert (entry.target_id, entry.reason) == ("search", "asked to")
    assert '"alice"' in str(entry.detail).replace("'", '"')
