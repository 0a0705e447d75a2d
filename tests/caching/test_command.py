"""`manage.py cache`: what operators read and do on the machine."""

import json
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import User
from apps.audit import services as audit
from apps.audit.models import AuditEntry
from apps.caching import services
from apps.caching.kinds import TABLE
from apps.caching.stores import store
from tests.caching.conftest import IN_MEMORY
from tests.caching.works import Work
from tests.processes import eventually
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


def run(*arguments: object) -> tuple[str, str]:
    """What it writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command("cache", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def as_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json")[0])


def status(kept: Any, *arguments: object) -> str:
    return str(kept.outcome(*arguments).status)


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("number").values_list("action", flat=True))


def test_stats_are_those_of_a_hand_count() -> None:
    kept = Work("v", seconds=0.06).kept()
    for _ in range(3):
        kept()
    told = as_json("stats")
    assert told["for"] == "the last 60 min"
    assert [row["kind"] for row in told["kinds"]] == list(TABLE)
    [text] = [row for row in told["kinds"] if row["kind"] == "text"]
    assert (text["hit"], text["miss"], text["wait"], text["stale"], text["error"]) == (
        2,
        1,
        0,
        0,
        0,
    )
    assert (text["ttl"], text["grace"], text["values"]) == (600, 600, 1)
    assert text["hit_rate"] == 0.6667
    assert text["saved_seconds"] >= 0.1
    assert text["bytes"] > 50
    assert "0.6667" in run("stats", "--minutes", 1440)[0]


@pytest.mark.parametrize(
    "named",
    [("--tag", "thing:1"), ("--kind", "text"), ("--pattern", "te*"), ("--pattern", "thing:*")],
)
def test_invalidate_ends_what_is_named_and_nothing_else(named: tuple[str, str]) -> None:
    mine, other = Work("v").kept(), Work("v").kept("metrics", tags=("other:1",))
    mine()
    other()
    [row] = as_json("invalidate", *named, "--yes", "--reason", "a test")["invalidated"]
    assert row["done"]
    assert (status(mine), status(other)) == ("MISS", "HIT")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == ("cache.invalidate", "a test")


def test_a_tag_that_a_terminal_could_not_read_names_nothing_that_is_kept() -> None:
    kept = Work("v").kept()
    kept()
    run("invalidate", "--tag", "thing:\udcff", "--yes")
    assert (status(kept), actions()) == ("HIT", ["cache.invalidate"])


def test_a_tag_that_nothing_has_is_told_of() -> None:
    """As it is with one that is misspelt: what was meant is served on."""
    Work("v").kept()()
    out, err = run("invalidate", "--tag", "thing:1", "--tag", "Thing:1", "--tag=thing:1", "--yes")
    assert out.count("hing:1") == 2
    assert err.strip() == "No value has the tag Thing:1."
    assert "tag Thing:2 (no value has it)" in run("invalidate", "--tag", "Thing:2", "--dry-run")[1]


def test_softly_serves_what_is_old_meanwhile(alice: User) -> None:
    work = Work("old")
    kept = work.kept()
    kept()
    work.value = "new"
    run("invalidate", "--tag", "thing:1", "--soft", "--yes", "--user", alice.email)
    assert (status(kept), kept.outcome().value) in [("STALE", "old"), ("STALE", "new")]
    eventually(lambda: kept() == "new")
    assert AuditEntry.objects.get().actor_id == alice.pk


def test_clear_ends_everything_and_leaves_what_else_is_in_redis(valkey: Valkey) -> None:
    kept, other = Work("v").kept(), Work("v").kept("metrics")
    for number in range(5):
        kept(number)
    other()
    store().shared._redis.set("docmill:limits:something", "stays", ex=60)
    assert as_json("clear", "--yes")["cleared"] == [{"values": 6, "done": True}]
    assert not list(store().shared.names("v:"))
    assert (status(kept, 1), status(other)) == ("MISS", "MISS")
    assert store().shared._redis.get("docmill:limits:something") == b"stays"
    assert actions() == ["cache.clear"]


@pytest.mark.parametrize("does", [("clear",), ("invalidate", "--kind", "text")])
def test_a_dry_run_and_who_cannot_be_asked_change_nothing(
    does: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Work("v").kept()
    kept()
    out, err = run(*does, "--dry-run")
    assert "Would be done" in err
    assert "no" in out
    monkeypatch.setattr(sys, "stdin", StringIO())
    with pytest.raises(CommandError, match="give --yes"):
        run(*does)
    assert (status(kept), actions()) == ("HIT", [])


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ((), "Nothing is named"),
        (("--tag", "org"), "is no tag"),
        (("--pattern", "nothing*"), "Nothing is named"),
        (("--pattern", "nobody:*"), "Nothing is named"),
        (("--pattern", ":*"), "is no tag"),
    ],
)
def test_what_names_nothing_is_refused(named: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        run("invalidate", *named, "--yes")
    assert actions() == []


@pytest.mark.parametrize(
    "does", [("stats",), ("clear", "--yes"), ("invalidate", "--kind=text", "--yes")]
)
def test_while_redis_is_away_it_says_so(does: tuple[str, ...], valkey: Valkey) -> None:
    valkey.kill()
    with pytest.raises(CommandError, match="Redis is away"):
        run(*does)
    assert actions() == []


@pytest.mark.parametrize("does", [("clear",), ("invalidate", "--kind=text")])
def test_when_redis_goes_before_it_is_told_it_says_so(
    does: tuple[str, ...], valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when it was asked, and gone at the commit."""

    def record(**given: Any) -> None:
        audit.record(**given)
        valkey.kill()

    monkeypatch.setattr(services, "record", record)
    with pytest.raises(CommandError, match="may not know of it"):
        run(*does, "--yes")
    store()._pending.clear()  # its thread goes on trying otherwise
    eventually(lambda: not store()._is_persisting)


def test_what_is_off_or_of_one_process_is_said(settings: Any) -> None:
    settings.ENABLE_CACHING = False
    assert "ENABLE_CACHING=false" in run("stats")[1]
    settings.CACHES = {**settings.CACHES, "values": IN_MEMORY}
    assert "this process only" in run("stats")[1]


def test_what_was_kept_before_it_was_off_can_be_ended(settings: Any) -> None:
    kept = Work("v").kept()
    kept()
    settings.ENABLE_CACHING = False
    run("clear", "--yes")
    settings.ENABLE_CACHING = True
    assert status(kept) == "MISS"


@pytest.mark.parametrize("minutes", ["0", "-1", "2881", "soon"])
def test_how_far_back_is_bounded(minutes: str) -> None:
    with pytest.raises(CommandError, match="a number from 1 to 2880"):
        run("stats", f"--minutes={minutes}")
