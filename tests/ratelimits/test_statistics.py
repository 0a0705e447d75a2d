"""What the limits did is kept by the hour: once, however often it is folded, whatever is lost."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from apps.accounts.models import User
from apps.core.spans import SPANS
from apps.ratelimits import statistics
from apps.ratelimits.admin.charts import charts
from apps.ratelimits.models import LimitHour, Offender, RateLimitRule
from apps.ratelimits.redis_store import statistics_key
from apps.ratelimits.rules import add_rule
from apps.ratelimits.services import check
from apps.ratelimits.statistics import KEPT, RULES_KEPT, fold
from apps.ratelimits.subjects import Subject
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)
NOW = int(time.time() // 60)


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


def counted(limiter: str = "search") -> dict[str, int]:
    rows = LimitHour.objects.filter(limiter=limiter)
    found: dict[str, int] = {}
    for row in rows:
        assert row.count == sum(row.minutes)
        found[row.outcome] = found.get(row.outcome, 0) + row.count
    return found


def test_what_was_decided_is_kept(settings: Any) -> None:
    settings.LIMIT_SEARCH = "3/min"
    for _ in range(5):
        check("search", Subject.user(1))
        check("chat", Subject.user(1))
    time.sleep(1.1)  # refusals from memory go along with the next call
    check("chat", Subject.user(1))
    fold()
    assert counted() == {"allowed": 3, "refused": 2}
    assert counted("chat") == {"allowed": 6}


def test_twice_is_once_and_more_is_added(client: redis.Redis) -> None:
    key = statistics_key(NOW)
    client.hset(key, "search:allowed", 7)
    fold()
    fold()
    assert counted() == {"allowed": 7}
    client.hincrby(key, "search:allowed", 2)
    client.hset(statistics_key(NOW - 1), "search:allowed", 3)
    fold()
    assert counted() == {"allowed": 12}


def test_what_redis_loses_was_kept(client: redis.Redis) -> None:
    client.hset(statistics_key(NOW - 1), "search:refused", 7)
    fold()
    client.flushall()
    client.hset(statistics_key(NOW), "search:refused", 2)
    fold()
    assert counted() == {"refused": 9}


def test_what_was_missed_for_a_day_is_caught_up(client: redis.Redis) -> None:
    client.hset(statistics_key(NOW - 30 * 60), "search:allowed", 4)
    fold()
    assert counted() == {"allowed": 4}
    # And what a process tells of an outage an hour ago.
    client.hset(statistics_key(NOW), "search:allowed", 1)
    fold()
    client.hset(statistics_key(NOW - 60), "search:allowed", 2)
    fold()
    assert counted() == {"allowed": 7}


def test_what_nobody_knows_is_left_out(client: redis.Redis) -> None:
    client.hset(statistics_key(NOW), mapping={"gone:allowed": 1, "search:odd": 1, "x": 1})
    fold()
    assert not LimitHour.objects.exists()


def test_away_it_waits(valkey: Valkey, client: redis.Redis) -> None:
    valkey.kill()
    fold()
    assert not LimitHour.objects.exists()


def test_nothing_is_kept_for_ever(alice: User) -> None:
    now = timezone.now()
    for age in (KEPT + timedelta(hours=1), KEPT - timedelta(hours=1)):
        LimitHour.objects.create(limiter="search", start=now - age, outcome="allowed", count=1)
    for number, age in enumerate((timedelta(days=1), -timedelta(days=1))):
        at = now - RULES_KEPT - age
        Offender.objects.create(network=f"10.0.0.{number}/32", limiter="search", last_at=at)
        rule = add_rule(by=alice, network=f"10.0.0.{number}", windows="unlimited", reason="a test")
        RateLimitRule.objects.filter(pk=rule.pk).update(expires_at=at)
    fold()
    assert LimitHour.objects.count() == 1
    assert Offender.objects.get().network == "10.0.0.1/32"
    assert RateLimitRule.objects.get().network == "10.0.0.1/32"


@pytest.mark.parametrize("span", SPANS)
def test_charts_say_what_was_kept(span: str) -> None:
    start = datetime.fromtimestamp(time.time() // 3600 * 3600, UTC)
    place = timezone.now().minute
    for outcome, count in (("allowed", 12), ("refused", 3), ("standby", 5)):
        minutes = [0] * 60
        minutes[place] = count
        LimitHour.objects.create(
            limiter="search", start=start, outcome=outcome, minutes=minutes, count=count
        )
    [drawn] = charts(span)
    assert drawn.name == "search"
    assert drawn.words == "12 allowed, 3 refused."
    assert "12 allowed, 3 refused" in drawn.chart
    assert [cells for _, cells in drawn.rows] == [[12, 3, 0]]


def test_no_chart_where_nothing_was_counted() -> None:
    assert charts("month") == []


def test_it_is_recurring_work(settings: Any) -> None:
    entry = settings.CELERY_BEAT_SCHEDULE["count_limits"]
    assert entry["task"] == f"{statistics.__name__}.fold"
