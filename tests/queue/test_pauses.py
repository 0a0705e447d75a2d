"""Pauses of a lane, of an organization, of one in the other, of everything: what they hold back."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.jobs.models import BatchFile
from apps.queue import worker
from apps.queue.claim import claim
from apps.queue.lanes import due_count, pause_for
from apps.queue.models import Pause, in_seconds
from apps.queue.pauses import pause, resume
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from apps.queue.sweep import ring_for_due
from tests.batches import SOMEBODY, Scripted, claimed, failure_of, submit
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("script")]

Bell = Callable[[str], int]


class Unstoppable(Scripted):
    """Works on while everything is paused."""

    is_pausable = False


def owners_of_claims() -> list[str]:
    """Whose files are given out, in order."""
    owners = []
    while found := claim("default", SOMEBODY):
        owners.append(found[1].organization.name)
        succeed(Scripted, found[1], Scripted().read())
    return owners


def test_a_paused_lane_holds_all_of_its_files_and_no_others(
    acme: Organization, other: Organization, alice: User
) -> None:
    submit(acme, "one", "two")
    submit(other, "three")
    fail(Scripted, claimed(), failure_of(FailureClass.RESOURCE))
    pause(by=alice, lane="default", reason="New disks.")
    assert claim("default", SOMEBODY) is None
    assert (due_count("default", 10), due_count("heavy", 10)) == (0, 1)
    assert claimed("heavy")
    resume(by=alice, lane="default")
    assert sorted(owners_of_claims()) == ["Acme", "Other"]


def test_a_paused_organization_lets_others_pass(
    acme: Organization, other: Organization, alice: User
) -> None:
    submit(acme, "one", "two", "three")
    submit(other, "four", "five")
    pause(by=alice, organization=acme)
    assert due_count("default", 10) == 2
    assert owners_of_claims() == ["Other", "Other"]
    assert due_count("default", 10) == 0
    resume(by=alice, organization=acme)
    assert owners_of_claims() == ["Acme"] * 3


def test_an_organization_may_be_paused_in_one_lane(
    acme: Organization, other: Organization, alice: User
) -> None:
    submit(acme, "one", "two")
    submit(other, "three")
    heavy = claimed()
    fail(Scripted, heavy, failure_of(FailureClass.RESOURCE))
    assert heavy.organization_id == acme.pk
    pause(by=alice, lane="default", organization=acme)
    assert owners_of_claims() == ["Other"]
    assert claimed("heavy").pk == heavy.pk


def test_everything_is_paused_and_goes_on(
    acme: Organization, other: Organization, alice: User
) -> None:
    submit(acme, "one", "two")
    submit(other, "three")
    fail(Scripted, claimed(), failure_of(FailureClass.RESOURCE))
    pause(by=alice)
    assert [claim(lane, SOMEBODY) for lane in ("default", "heavy")] == [None, None]
    assert (due_count("default", 10), due_count("heavy", 10)) == (0, 0)
    resume(by=alice)
    assert claimed("heavy")
    assert len(owners_of_claims()) == 2


def test_what_runs_goes_on(acme: Organization, alice: User) -> None:
    submit(acme, "one", "two")
    running = claimed()
    pause(by=alice)
    assert succeed(Scripted, running, Scripted().read())
    assert claim("default", SOMEBODY) is None


def test_a_pause_ends_by_itself_when_it_was_to(acme: Organization, alice: User) -> None:
    submit(acme, "one")
    pause(by=alice, lane="default", until=timezone.now() + timedelta(hours=1))
    assert claim("default", SOMEBODY) is None
    Pause.objects.update(until=in_seconds(-0.01))
    assert due_count("default", 10) == 1
    assert claimed()


def test_one_pause_of_several_may_end(acme: Organization, alice: User) -> None:
    submit(acme, "one")
    pause(by=alice, lane="default")
    pause(by=alice, organization=acme)
    assert resume(by=alice, lane="default")
    assert claim("default", SOMEBODY) is None
    assert resume(by=alice, organization=acme)
    assert claimed()


def test_what_no_pause_holds_back_runs_through_all(
    acme: Organization, alice: User, settings: Settings
) -> None:
    settings.QUEUE_HANDLERS = ["tests.queue.test_pauses.Unstoppable"]
    submit(acme, "one", "two")
    pause(by=alice)
    pause(by=alice, organization=acme)
    assert due_count("default", 10) == 2
    assert claimed()
    assert claimed()


# --- twice, by whom, and what is told of it -----------------------------------------------------


def test_twice_is_once_with_the_new_reason(acme: Organization, alice: User) -> None:
    for organization in (None, acme):
        pause(by=alice, lane="default", organization=organization, reason="At first.")
        again = pause(by=alice, lane="default", organization=organization, reason="In the end.")
        kept = Pause.objects.get(lane="default", organization=organization)
        assert (kept.pk, kept.reason, kept.paused_by) == (again.pk, "In the end.", alice)
    assert resume(by=alice, lane="default")
    assert not resume(by=alice, lane="default")
    assert Pause.objects.get().organization == acme


def test_each_is_told_in_the_log_it_belongs_to(acme: Organization, alice: User) -> None:
    pause(by=alice, lane="ocr", reason="New models.")
    pause(by=alice, organization=acme)
    resume(by=alice, lane="ocr")
    resume(by=alice, organization=acme)
    resume(by=alice, organization=acme)  # there is none: nothing was done
    told = AuditEntry.objects.order_by("chain", "number")
    assert [(each.chain_id, each.action, each.target_id, each.reason) for each in told] == [
        (str(acme.pk), "queue.pause", "every lane", ""),
        (str(acme.pk), "queue.resume", "every lane", ""),
        ("system", "queue.pause", "ocr", "New models."),
        ("system", "queue.resume", "ocr", ""),
    ]
    assert {each.actor_name for each in told} == {"alice@example.com"}


def test_there_must_be_such_a_lane(alice: User) -> None:
    for verb in (pause, resume):
        with pytest.raises(ValueError, match="There is no lane tea"):
            verb(by=alice, lane="tea")
    assert not Pause.objects.exists()


# --- the engine's own ---------------------------------------------------------------------------


def test_the_engines_own_pause_does_not_override_an_operators(
    acme: Organization, alice: User
) -> None:
    submit(acme, "one")
    pause(by=alice, lane="default", reason="New disks.")
    pause_for("default", seconds=60, reason="The disk is full.")
    kept = Pause.objects.get()
    assert (kept.paused_by, kept.reason, kept.until) == (alice, "New disks.", None)


def test_an_operators_pause_that_lasts_longer_stays_and_a_shorter_one_is_prolonged(
    alice: User,
) -> None:
    later = timezone.now() + timedelta(hours=1)
    pause(by=alice, lane="default", reason="Until then.", until=later)
    pause_for("default", seconds=60, reason="The disk is full.")
    kept = Pause.objects.get()
    assert (kept.paused_by, kept.until) == (alice, later)
    pause_for("default", seconds=2 * 3600, reason="The disk is full.")
    kept = Pause.objects.get()
    assert (kept.paused_by, kept.reason) == (None, "The disk is full.")
    assert kept.until is not None
    assert kept.until > later


def test_an_operator_may_take_over_the_engines_own(acme: Organization, alice: User) -> None:
    submit(acme, "one")
    fail(Scripted, claimed(), failure_of(FailureClass.INFRA))
    assert Pause.objects.get().paused_by is None
    pause(by=alice, lane="default", reason="I look after it.")
    kept = Pause.objects.get()
    assert (kept.paused_by, kept.until) == (alice, None)
    assert resume(by=alice, lane="default")
    BatchFile.objects.update(available_at=timezone.now() - timedelta(seconds=1))
    assert claimed()


# --- doorbells ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_resume_rings(acme: Organization, alice: User, valkey: Valkey, bell: Bell) -> None:
    pause(by=alice, lane="default")
    submit(acme, "one", "two")
    valkey.flushall()
    resume(by=alice, lane="default")
    assert (bell("default"), bell("heavy")) == (2, 0)


def test_the_sweep_does_not_ring_for_what_is_paused(
    acme: Organization, other: Organization, alice: User, bell: Bell
) -> None:
    worker.register(["default"], 3)
    submit(acme, "one", "two")
    submit(other, "three")
    pause(by=alice, lane="default")
    ring_for_due()
    assert bell("default") == 0
    resume(by=alice, lane="default")
    pause(by=alice, organization=acme)
    ring_for_due()
    assert bell("default") == 1


def test_a_claim_takes_as_many_queries_however_much_is_paused(
    acme: Organization, other: Organization, alice: User
) -> None:
    def queries() -> int:
        submit(other, "text")
        with CaptureQueriesContext(connection) as seen:
            assert claim("default", SOMEBODY) is not None
        BatchFile.objects.all().delete()
        return len(seen)

    before = queries()
    pause(by=alice, organization=acme)
    assert queries() == before + 1  # how far what is held back goes is looked up
    for lane in ("ocr", "heavy", "default"):
        pause(by=alice, lane=lane, organization=acme)
    assert queries() == before + 1
