"""`manage.py ratelimits`: what operators read and do on the machine."""

import json
import sys
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.audit.models import AuditEntry
from apps.ratelimits.limiters import TABLE
from apps.ratelimits.models import RateLimitRule
from apps.ratelimits.services import check
from apps.ratelimits.subjects import Subject
from tests.servers import Valkey

pytestmark = [
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("default_limits"),
]


def run(*arguments: object) -> tuple[str, str]:
    """What it writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command("ratelimits", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def as_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json")[0])


def used(name: str, who: object) -> int:
    [row] = [row for row in as_json("show", who)["counts"] if row["limiter"] == name]
    return int(row["used"])


def test_list_has_every_limiter_with_its_numbers() -> None:
    rows = as_json("list")["limiters"]
    assert [row["limiter"] for row in rows] == list(TABLE)
    assert rows[0]["windows"] == "5/15 minutes"
    assert rows[0]["setting"] == "LIMIT_AUTH"
    assert "search" in run("list")[0]


def test_show_has_every_count_of_one_user(alice: User, acme: Organization) -> None:
    for _ in range(3):
        check("search", Subject.user(alice.pk))
    told = as_json("show", "Alice@Example.com")
    assert told["for"] == "alice@example.com"
    [search] = [row for row in told["counts"] if row["limiter"] == "search"]
    assert (search["window"], search["used"], search["remaining"]) == ("20/minute", 3, 17)
    assert 0 < search["reset_seconds"] <= 60
    assert search["counted_in"] == "redis"
    assert {row["limiter"] for row in told["counts"]} >= {"auth", "api", "batch-upload", "ai"}
    assert used("search", "alice@example.com") == 3  # looking counts nothing


def test_show_finds_organizations_keys_and_addresses(alice: User, acme: Organization) -> None:
    key, token = create_api_key(organization=acme, user=alice, name="tests")
    check("upload", Subject.organization(acme.pk))
    check("search", Subject.api_key(key.pk))
    check("anonymous", Subject.address("203.0.113.7"))
    assert used("upload", acme.pk) == used("upload", "Acme") == 1
    assert used("search", key.pk) == used("search", token[:11]) == used("search", token) == 1
    assert used("anonymous", "203.0.113.7") == used("anonymous", "203.0.113.7/32") == 1
    assert as_json("show", "everything")["counts"][0]["limiter"] == "global"
    assert as_json("show", "203.0.113.0/24")["counts"] == []


@pytest.mark.parametrize("who", ["nobody@example.com", "Nothing", "10.0.0.1/8", "dm_nothing"])
def test_who_is_not_there_is_told(who: str) -> None:
    with pytest.raises(CommandError, match=r"Nothing here is called|perhaps 10\.0\.0\.0/8"):
        run("show", who)


def test_away_it_says_so(alice: User, valkey: Valkey) -> None:
    valkey.kill()
    out, err = run("show", "alice@example.com")
    assert "Redis is away" in err
    assert "memory" in out
    with pytest.raises(CommandError, match="Redis cannot be reached"):
        run("reset", "alice@example.com", "--yes")


def test_off_it_says_so(settings: Any) -> None:
    settings.ENABLE_RATE_LIMITING = False
    assert "ENABLE_RATE_LIMITING=false" in run("list")[1]


def test_reset_one_or_all(alice: User) -> None:
    me = Subject.user(alice.pk)
    for name in ("search", "chat", "search"):
        check(name, me)
    told = as_json("reset", "alice@example.com", "--limiter", "search", "--yes")
    assert told["reset"] == [{"limiter": "search"}]
    assert (used("search", "alice@example.com"), used("chat", "alice@example.com")) == (0, 1)
    run("reset", "alice@example.com", "--yes", "--user", "alice@example.com", "--reason", "demo")
    assert used("chat", "alice@example.com") == 0
    entries = AuditEntry.objects.filter(action="limit.reset").order_by("number")
    assert (entries[0].target_id, entries[0].actor_name) == ("search", "system")
    assert "alice@example.com" in entries[0].detail
    assert {(each.actor_name, each.reason) for each in entries[1:]} == {
        ("alice@example.com", "demo")
    }


def test_what_takes_something_is_asked_for(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    check("search", Subject.user(alice.pk))
    monkeypatch.setattr(sys, "stdin", StringIO())
    block = ("rule", "add", "10.0.0.0/8", "--block-for", "2h", "--reason", "a test")
    for command in (("reset", "alice@example.com"), block):
        with pytest.raises(CommandError, match="give --yes, or --dry-run"):
            run(*command)
        err = run(*command, "--dry-run")[1]
        assert err.startswith("Would be done: ")
    assert used("search", "alice@example.com") == 1
    assert not RateLimitRule.objects.exists()
    assert not AuditEntry.objects.filter(target="limit").exists()


@pytest.mark.parametrize("typed", ["", "n\n", "\n"])
def test_another_answer_than_yes_changes_nothing(
    alice: User, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """Nor does a terminal that is closed."""
    check("search", Subject.user(alice.pk))
    terminal = StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises(CommandError, match="Nothing was changed"):
        run("reset", "alice@example.com")
    assert used("search", "alice@example.com") == 1


def test_a_limiter_that_does_not_count_them_is_told(acme: Organization) -> None:
    with pytest.raises(CommandError, match="search does not count organization Acme"):
        run("reset", "Acme", "--limiter", "search", "--yes")


def test_rules_are_added_listed_and_removed(alice: User) -> None:
    given = ("--limiter", "search", "--windows", "2/min", "--reason", "a demo")
    [made] = as_json("rule", "add", "alice@example.com", *given, "--expires-in", "2h")["rules"]
    assert made["effect"] == "2/minute"
    expires = RateLimitRule.objects.get().expires_at
    assert expires
    assert timedelta(hours=1, minutes=59) < expires - timezone.now() < timedelta(hours=2)
    assert [check("search", Subject.user(alice.pk)).allowed for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert [row["id"] for row in as_json("rule", "list")["rules"]] == [made["id"]]
    assert "alice@example.com" in run("rule", "list")[0]
    told = as_json("show", "alice@example.com")
    assert [row["id"] for row in told["rules"]] == [made["id"]]
    run("rule", "remove", made["id"], "--yes")
    assert as_json("rule", "list")["rules"] == []
    assert check("search", Subject.user(alice.pk)).allowed


def test_blocks(alice: User) -> None:
    run("rule", "add", "203.0.113.0/24", "--block-for", "1h", "--reason", "guesses", "--yes")
    assert not check("anonymous", Subject.address("203.0.113.9")).allowed
    [row] = as_json("show", "203.0.113.9")["counts"][:1]
    assert row["state"] == "blocked"
    assert row["blocked_until"]
    shadow = ("--block-until", "2099-01-01", "--shadow", "--reason", "a try")
    run("rule", "add", "198.51.100.1", *shadow)  # refuses nothing, so it is not asked for
    assert check("anonymous", Subject.address("198.51.100.1")).allowed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--windows", "many", "--limiter", "search"), "for example"),
        (("--windows", "2/min"), "choose which"),
        (("--unlimited", "--windows", "2/min"), "not allowed with"),
        (("--block-for", "soon"), "like 2h"),
        (("--block-until", "2020-01-01", "--yes"), "future"),
        ((), "required"),
        (("--unlimited", "--user", "nobody@example.com"), "no user"),
    ],
)
def test_what_makes_no_sense_is_told(alice: User, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        run("rule", "add", "alice@example.com", *arguments, "--reason", "a test")
    assert not RateLimitRule.objects.exists()


def test_a_reason_is_needed(alice: User) -> None:
    with pytest.raises(CommandError, match="Say why"):
        run("rule", "add", "alice@example.com", "--unlimited")
