"""Who is refused again and again is noticed, and blocked only where the settings say so."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.ratelimits import abuse
from apps.ratelimits.abuse import REFUSALS, block_time
from apps.ratelimits.models import Offender, RateLimitRule
from apps.ratelimits.rules import add_rule, remove_rule
from apps.ratelimits.services import check, check_all
from apps.ratelimits.subjects import EVERYTHING, Subject
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = Subject.address("203.0.113.7")


@pytest.fixture(autouse=True)
def _small(settings: Any) -> None:
    settings.LIMIT_ANONYMOUS = settings.LIMIT_SEARCH = settings.LIMIT_GLOBAL = "1/h"


def hammer(times: int, address: Subject = ADDRESS) -> None:
    """Is refused so often."""
    check("anonymous", address)
    assert not any(check("anonymous", address).allowed for _ in range(times))


def goes_on_later() -> None:
    """As if ten minutes had passed since it was noticed."""
    abuse._noticed.clear()
    Offender.objects.update(last_at=timezone.now() - abuse.SPAN)


@pytest.mark.parametrize("how", ["redis", "away"])
def test_the_twentieth_refusal_is_noticed(valkey: Valkey, how: str) -> None:
    if how == "away":
        valkey.kill()
    hammer(REFUSALS - 1)
    assert not Offender.objects.exists()
    hammer(1)
    row = Offender.objects.get()
    assert (row.network, row.limiter, row.times, row.blocks) == (
        "203.0.113.7/32",
        "anonymous",
        1,
        0,
    )
    hammer(100)
    row.refresh_from_db()
    assert row.times == 1  # once in ten minutes
    assert not RateLimitRule.objects.exists()  # the setting is off


def test_who_was_signed_in_is_told(alice: User) -> None:
    me = Subject.user(alice.pk)
    for _ in range(REFUSALS + 1):
        check("search", me, caller=[me, ADDRESS])
    row = Offender.objects.get()
    assert row.user == alice
    assert row.limiter == "search"


def test_it_blocks_for_an_hour_then_longer_by_a_rule_that_can_be_lifted(
    alice: User, settings: Any
) -> None:
    settings.LIMITS_BLOCK_ABUSE = True
    hammer(REFUSALS)
    rule = RateLimitRule.objects.get()
    assert (rule.limiter, rule.network, rule.made_by) == ("", "203.0.113.7/32", None)
    assert rule.blocked_until
    hour = rule.blocked_until - timezone.now()
    assert timedelta(minutes=59) < hour <= timedelta(hours=1)
    decision = check("auth", ADDRESS)
    assert not decision.allowed
    assert decision.retry_after > 3500
    assert check("search", Subject.user(alice.pk)).allowed
    remove_rule(by=alice, rule=rule)
    assert check("auth", ADDRESS).allowed
    goes_on_later()
    hammer(REFUSALS)
    rule = RateLimitRule.objects.get()
    assert rule.blocked_until
    assert rule.blocked_until - timezone.now() > timedelta(hours=3, minutes=59)
    assert "blocked 1 times before" in rule.reason


def test_blocks_get_longer_but_not_for_ever() -> None:
    hours = [block_time(n).total_seconds() / 3600 for n in range(6)]
    assert hours == [1, 4, 16, 64, 168, 168]
    assert block_time(10_000) == timedelta(days=7)


def test_what_an_operator_laid_down_stays(alice: User, settings: Any) -> None:
    settings.LIMITS_BLOCK_ABUSE = True
    add_rule(by=alice, network="203.0.113.7", windows="unlimited", shadow=False, reason="ours")
    add_rule(by=alice, network="203.0.113.7", limiter="anonymous", windows="1/h", reason="a try")
    hammer(REFUSALS)
    assert Offender.objects.get().blocks == 0
    assert not RateLimitRule.objects.exclude(blocked_until=None).exists()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.9"])
def test_this_machine_and_proxies_are_never_blocked(settings: Any, address: str) -> None:
    settings.LIMITS_BLOCK_ABUSE = True
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "unix"]
    hammer(REFUSALS, Subject.address(address))
    assert Offender.objects.get().times == 1
    assert not RateLimitRule.objects.exists()


def test_refusals_that_are_nobodys_fault_are_not_counted(alice: User) -> None:
    """All together are too many; a rule blocks already."""
    for _ in range(REFUSALS + 2):
        check_all([("global", EVERYTHING)], caller=[ADDRESS])
    until = timezone.now() + timedelta(hours=1)
    add_rule(by=alice, network="198.51.100.0/24", blocked_until=until, reason="a test")
    for _ in range(REFUSALS + 2):
        assert not check("anonymous", Subject.address("198.51.100.1")).allowed
    assert not Offender.objects.exists()


def test_it_never_fails_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(abuse, "notice", fail)
    hammer(REFUSALS + 1)
