"""Rules: what they may say, whom they hold for, and how soon every process knows."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.audit.models import AuditEntry
from apps.core.errors import InvalidInput
from apps.ratelimits import rulebook
from apps.ratelimits.models import RateLimitRule
from apps.ratelimits.rules import add_rule, change_rule, remove_rule
from apps.ratelimits.services import check, check_all
from apps.ratelimits.subjects import EVERYTHING, Subject
from tests.servers import Valkey

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("default_limits"),
]


def rule_of(by: User, **fields: Any) -> RateLimitRule:
    return add_rule(by=by, **({"reason": "a test"} | fields))


def limit_of(name: str, *subjects: Subject) -> int | None:
    """The smallest limit in force for them; None for none."""
    decision = check(name, subjects[0], caller=subjects[1:])
    return min((each.window.limit for p in decision.parts for each in p.windows), default=None)


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"windows": "0/min"}, "windows", "from 1 to"),
        ({"windows": "many"}, "windows", "for example"),
        ({"windows": ""}, "windows", "Give one: a number, unlimited, or a date"),
        ({"windows": "5/min", "limiter": "serch"}, "limiter", "no limiter 'serch', only auth"),
        ({"windows": "5/min", "limiter": ""}, "windows", "choose which"),
        ({"windows": "5/min", "limiter": "global"}, "windows", "LIMIT_GLOBAL"),
        ({"windows": "5/min", "limiter": "auth"}, "target", "give an address"),
        ({"windows": "5/min", "network": "10.0.0.0/8"}, "target", "Give one"),
        ({"windows": "5/min", "reason": " "}, "reason", "Say why"),
        ({"blocked_until": "past"}, "windows", "future"),
        ({"windows": "5/min", "expires_at": "past"}, "expires_at", "future"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(
    alice: User, fields: dict[str, Any], field: str, told: str
) -> None:
    past = timezone.now() - timedelta(seconds=1)
    given = {name: past if value == "past" else value for name, value in fields.items()}
    with pytest.raises(InvalidInput) as refused:
        rule_of(alice, **({"limiter": "search", "user": alice} | given))
    assert [each.field for each in refused.value.errors] == [field]
    assert told in refused.value.errors[0].detail
    assert not RateLimitRule.objects.exists()
    assert not AuditEntry.objects.filter(action="limit.rule_add").exists()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        (" 10.0.0.0/8 ", "10.0.0.0/8"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
    ],
)
def test_an_address_is_stored_as_what_is_counted(alice: User, text: str, stored: str) -> None:
    assert rule_of(alice, network=text, windows="unlimited").network == stored


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.0.0.1/8", "perhaps 10.0.0.0/8"),
        ("2001:db8::1/128", "counted as one: 2001:db8::/64"),
        ("example.com", "for example"),
    ],
)
def test_what_is_no_network_is_told(alice: User, text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        rule_of(alice, network=text, windows="unlimited")


def test_the_most_particular_rule_holds(alice: User, acme: Organization) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="tests")
    user, organization = Subject.user(alice.pk), Subject.organization(acme.pk)
    api_key, address = Subject.api_key(key.pk), Subject.address("203.0.113.7")
    everybody = (api_key, user, organization, address)
    found = [limit_of("search", *everybody)]
    for number, target in (
        ("70/min", {"network": "0.0.0.0/0"}),
        ("60/min", {"network": "203.0.0.0/8"}),
        ("50/min", {"network": "203.0.113.7"}),
        ("40/min", {"organization": acme}),
        ("30/min", {"user": alice}),
        ("10/min", {"key": key}),
    ):
        rule_of(alice, limiter="search", windows=number, **target)
        found.append(limit_of("search", *everybody))
    assert found == [20, 70, 60, 50, 40, 30, 10]
    assert limit_of("search", user, organization, address) == 30
    assert limit_of("search", address, organization, user) == 30  # in whatever order they are told
    assert limit_of("search", address) == 50
    assert limit_of("search", Subject.address("203.0.113.8")) == 60
    assert limit_of("search", Subject.address("2001:db8::1")) == 20
    assert limit_of("chat", *everybody) == 10


def test_the_one_limiter_before_every_limiter(alice: User) -> None:
    me = Subject.user(alice.pk)
    rule_of(alice, user=alice, blocked_until=timezone.now() + timedelta(hours=1))
    assert not check("search", me).allowed
    rule_of(alice, user=alice, limiter="search", windows="7/min")
    assert limit_of("search", me) == 7
    assert not check("chat", me).allowed


def test_a_block_refuses_until_its_time_and_counts_nothing(alice: User) -> None:
    me = Subject.user(alice.pk)
    rule = rule_of(alice, user=alice, blocked_until=timezone.now() + timedelta(seconds=2))
    decision = check_all([("search", me), ("global", EVERYTHING)])
    assert not decision.allowed
    assert decision.retry_after == 2
    time.sleep(2)
    assert check("search", me).allowed
    assert rule.state(timezone.now()) == "over"


def test_an_expired_a_disabled_and_a_removed_rule_hold_no_more(alice: User) -> None:
    me = Subject.user(alice.pk)
    expires = timezone.now() + timedelta(seconds=1)
    first = rule_of(alice, user=alice, limiter="search", windows="7/min", expires_at=expires)
    assert limit_of("search", me) == 7
    time.sleep(1)
    assert limit_of("search", me) == 20
    second = rule_of(alice, user=alice, limiter="search", windows="8/min")
    assert not RateLimitRule.objects.filter(pk=first.pk).exists()  # its time was over
    assert limit_of("search", me) == 8
    change_rule(by=alice, rule=second, enabled=False)
    assert limit_of("search", me) == 20
    change_rule(by=alice, rule=second, enabled=True, windows="9/min, 90/h")
    assert limit_of("search", me) == 9
    remove_rule(by=alice, rule=second)
    assert limit_of("search", me) == 20


def test_a_shadow_holds_beside_what_is_in_force(alice: User, valkey: Valkey) -> None:
    me = Subject.user(alice.pk)
    rule_of(alice, user=alice, limiter="search", windows="3/min")
    rule_of(alice, user=alice, limiter="search", windows="1/min", shadow=True)
    assert [check("search", me).allowed for _ in range(4)] == [True, True, True, False]
    with redis.Redis.from_url(valkey.url) as client:
        [key] = client.keys("docmill:limits:statistics:*")
        counted = {name.decode(): int(n) for name, n in client.hgetall(key).items()}
    assert counted == {"search:allowed": 3, "search:shadow": 3, "search:refused": 1}


def test_there_is_one_rule_for_a_limiter_and_a_target(alice: User) -> None:
    first = rule_of(alice, network="203.0.113.7", windows="unlimited")
    with pytest.raises(InvalidInput, match=f"Rule {first.pk} is for the same already"):
        rule_of(alice, network="203.0.113.7/32", windows="unlimited")
    rule_of(alice, network="203.0.113.7", limiter="search", windows="9/min")


def test_every_change_is_in_the_audit_log(alice: User, acme: Organization) -> None:
    rule = rule_of(alice, organization=acme, limiter="search", windows="9/m", reason="they asked")
    change_rule(by=alice, rule=rule, windows="8/m", reason="too many")
    remove_rule(by=alice, rule=rule, reason="enough")
    entries = AuditEntry.objects.filter(organization=acme).order_by("number")
    told = [(each.action, each.target_id, each.reason) for each in entries]
    assert told == [
        ("limit.rule_add", "search", "they asked"),
        ("limit.rule_change", "search", "too many"),
        ("limit.rule_remove", "search", "enough"),
    ]
    assert [json.loads(each.detail)["windows"] for each in entries] == [
        "9/minute",
        "8/minute",
        "8/minute",
    ]


def test_rules_cost_no_query(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    me = Subject.user(alice.pk)
    rule_of(alice, user=alice, limiter="search", windows="1000/min")
    check("search", me)
    with django_assert_num_queries(0):
        for _ in range(200):
            check("search", me)


def test_nothing_readable_of_a_rule_is_in_redis(alice: User, valkey: Valkey) -> None:
    rule_of(alice, network="203.0.113.7", limiter="anonymous", windows="2/min")
    for _ in range(4):
        check("anonymous", Subject.address("203.0.113.7"))
    with redis.Redis.from_url(valkey.url) as client:
        keys = client.keys("*")
        assert keys
        for key in keys:
            kept = key + (client.dump(key) or b"")
            assert b"203.0.113" not in kept
            assert b"alice" not in kept


class Elsewhere:
    """The rulebook of another process: it hears only what comes through Redis or the database."""

    def __init__(self) -> None:
        self.book = rulebook.Rulebook()
        self.book.refresh()

    def limit(self, subject: Subject) -> int | None:
        self.book.refresh()
        found = self.book.find("search", [subject], shadow=False)
        return found.windows[0].limit if found else None


@pytest.mark.parametrize("how", ["redis", "away", "none"])
def test_an_idle_process_knows_within_two_seconds(
    alice: User, valkey: Valkey, settings: Any, how: str
) -> None:
    """Also while Redis is away, and where there is none."""
    if how == "none":
        settings.LIMITS_REDIS_URL = "memory"
    if how == "away":
        valkey.kill()
    me, other = Subject.user(alice.pk), Elsewhere()
    assert other.limit(me) is None
    rule = rule_of(alice, user=alice, limiter="search", windows="7/min")
    time.sleep(1.9)
    assert other.limit(me) == 7
    remove_rule(by=alice, rule=rule)
    time.sleep(1.9)
    assert other.limit(me) is None


def test_a_busy_process_knows_with_its_next_answer(alice: User) -> None:
    other, me = Elsewhere(), Subject.user(alice.pk)
    check("search", me)
    rule_of(alice, user=alice, limiter="search", windows="7/min")
    other.book.heard(str(rulebook.store().ask(lambda client: client.stamp(or_else="-"))))
    found = other.book.find("search", [me], shadow=False)
    assert found
    assert found.windows[0].limit == 7


def test_who_comes_while_they_are_read_after_a_silence_waits_for_them(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    me, other = Subject.user(alice.pk), Elsewhere()
    rule_of(alice, user=alice, limiter="search", windows="7/min")
    rules = list(RateLimitRule.objects.in_force(timezone.now()))
    reading, go_on = threading.Event(), threading.Event()

    def slowly(*_: object) -> list[RateLimitRule]:
        reading.set()
        assert go_on.wait(10)
        return rules

    monkeypatch.setattr(rulebook.RateLimitRule.objects, "in_force", slowly)
    other.book.forget()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(other.limit, me)
        assert reading.wait(10)
        second = threads.submit(other.limit, me)
        assert not wait([second], timeout=0.2).done
        go_on.set()
        assert [first.result(10), second.result(10)] == [7, 7]


def test_rules_that_cannot_be_read_hold_on(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    me, other = Subject.user(alice.pk), Elsewhere()
    rule_of(alice, user=alice, limiter="search", windows="7/min")
    other.book.forget()
    assert other.limit(me) == 7

    def fail(*_: object) -> None:
        from django.db import OperationalError

        raise OperationalError("gone")

    monkeypatch.setattr(rulebook.RateLimitRule.objects, "in_force", fail)
    other.book.forget()
    assert other.limit(me) == 7
