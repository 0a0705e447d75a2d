"""`manage.py queue`: what operators read and do on the machine."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.queue.claim import claim
from apps.queue.lanes import set_limits
from apps.queue.models import Pause
from apps.queue.pauses import pause
from apps.queue.retry import FailureClass
from tests.batches import SOMEBODY, claimed, submit
from tests.jobs.runs import fail_next

pytestmark = pytest.mark.django_db

Run = Callable[..., tuple[str, str]]


def run(*arguments: object) -> tuple[str, str]:
    """What `manage.py queue` writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command("queue", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def lane(out: str, name: str) -> list[str]:
    [line] = [line for line in out.splitlines() if line.startswith(f"{name} ")]
    return line.split(maxsplit=6)


def seen() -> dict[str, Any]:
    return dict(json.loads(run("--json")[0]))


def nothing_starts() -> bool:
    return claim("default", SOMEBODY) is None


def test_each_lane_tells_what_waits_and_runs_and_its_limit(acme: Organization, alice: User) -> None:
    submit(acme, "one", "two", "three", "four")
    claimed()
    fail_next(FailureClass.TRANSIENT)
    set_limits(by=alice, lane="default", max_running=7, max_running_per_organization=None)
    out, _ = run()
    assert out.splitlines()[0].split() == [
        *("Lane", "Waiting", "Later", "Held", "Running", "Limit", "Paused")
    ]
    assert lane(out, "default") == ["default", "2", "1", "0", "1", "7"]
    assert lane(out, "email")[1:5] == ["0"] * 4
    told = {each["name"]: each for each in seen()["lanes"]}["default"]
    assert (told["waiting"], told["retry_wait"], told["held"], told["running"]) == (2, 1, 0, 1)
    assert (told["limit"], told["is_paused"]) == (7, False)


def test_a_lane_is_paused_and_goes_on(acme: Organization, alice: User) -> None:
    submit(acme, "one")
    out, _ = run("pause", "--lane", "default", "--reason", "New\x00 disk", "--user", alice.email)
    assert lane(out, "default")[6] == "paused by alice@example.com: New disk"
    assert len(lane(out, "ocr")) == 6
    assert nothing_starts()
    [told] = seen()["pauses"]
    assert (told["lane"], told["by"], told["reason"]) == ("default", alice.email, "New disk")
    entry = AuditEntry.objects.get(action="queue.pause")
    assert (entry.action, entry.actor_name, entry.reason) == (
        "queue.pause",
        alice.email,
        "New disk",
    )
    out, err = run("resume", "--lane", "default")
    assert (len(lane(out, "default")), err) == (6, "")
    assert AuditEntry.objects.get(action="queue.resume").actor_name == "system"
    assert not nothing_starts()


def test_everything_is_paused(acme: Organization) -> None:
    submit(acme, "one")
    out, _ = run("pause")
    assert {line.split()[-1] for line in out.splitlines()[1:]} == {"paused"}
    assert nothing_starts()
    assert all(each["is_paused"] for each in seen()["lanes"])
    run("resume")
    assert not nothing_starts()


def test_one_organization_is_paused(acme: Organization, other: Organization) -> None:
    submit(acme, "one")
    out, _ = run("pause", "--organization", acme.pk, "--reason", "Unpaid")
    assert out.splitlines()[-1] == f"Every lane of Acme ({acme.pk}): paused: Unpaid"
    assert len(lane(out, "default")) == 6, "others go on"
    assert nothing_starts()
    submit(other, "two")
    assert claimed().organization_id == other.pk
    _, err = run("resume", "--organization", acme.pk, "--lane", "default")
    assert err == "There was no such pause.\n"
    assert nothing_starts()
    run("resume", "--organization", acme.pk)
    assert not nothing_starts()


def test_a_pause_that_ends_by_itself_says_when() -> None:
    until = timezone.now() + timedelta(hours=1)
    pause(by=None, lane="ocr", reason="Storage failed", until=until)
    pause(by=None, lane="heavy", until=timezone.now() - timedelta(seconds=1))
    out, _ = run("show")
    assert lane(out, "ocr")[6] == f"paused until {until:%Y-%m-%d %H:%M} UTC: Storage failed"
    assert len(lane(out, "heavy")) == 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pause", "--lane", "nowhere"], "invalid choice"),
        (["stop"], "invalid choice"),
        (["show", "--reason", "x"], "--reason goes with pause"),
        (["pause", "--reason", "x" * 201], "at most 200 characters"),
        (["pause", "--user", "nobody@example.com"], "no user nobody@example.com"),
        (["pause", "--organization", str(uuid.uuid4())], "no such organization"),
    ],
)
def test_what_makes_no_sense_changes_nothing(arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        run(*arguments)
    assert not Pause.objects.exists()
