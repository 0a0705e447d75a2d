"""Which row a worker gets, and when it gets none."""

import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.queue.claim import claim
from apps.queue.lanes import pause_for
from apps.queue.models import Lane, Pause, Priority, in_seconds
from apps.queue.pauses import pause, resume
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from apps.queue.states import State
from tests.batches import (
    SOMEBODY,
    Scripted,
    claimed,
    failure_of,
    submit,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("script")]


def names_in_order_of_claim() -> list[str]:
    names = []
    while found := claim("default", SOMEBODY):
        file = found[1]
        names.append(f"{file.job.name}{file.position}")  # type: ignore[attr-defined]
        succeed(Scripted, file, Scripted().read())
    return names


def named(job: BatchJob, name: str) -> BatchJob:
    job.name = name
    job.save(update_fields=["name"])
    return job


def test_a_claim_leases_the_row_and_opens_an_attempt(acme: Organization) -> None:
    job = submit(acme, "one")
    worker_id = uuid.uuid4()
    file = claimed(worker_id=worker_id)
    assert (file.state, file.attempts, file.worker_id) == (State.RUNNING, 1, worker_id)
    assert file.started_at is not None
    left = BatchFile.objects.filter(
        lease_expires_at__gt=Now() + timedelta(seconds=25),
        lease_expires_at__lte=Now() + timedelta(seconds=30),
    )
    assert left.exists()
    attempt = FileAttempt.objects.get()
    assert (attempt.row_id, attempt.number, attempt.lane) == (file.pk, 1, "default")
    assert (attempt.lease_token, attempt.worker_id) == (file.lease_token, worker_id)
    assert (attempt.ended_at, attempt.outcome) == (None, "")
    job.refresh_from_db()
    assert (job.state, job.started_at is not None) == ("running", True)


def test_nothing_is_claimed_from_another_lane(acme: Organization) -> None:
    submit(acme, "one")
    assert claim("ocr", SOMEBODY) is None


def test_high_goes_before_normal_before_low(acme: Organization) -> None:
    named(submit(acme, "1", priority=Priority.LOW), "low")
    named(submit(acme, "2", priority=Priority.NORMAL), "normal")
    named(submit(acme, "3", priority=Priority.HIGH), "high")
    assert names_in_order_of_claim() == ["high1", "normal1", "low1"]


def test_an_organization_with_few_files_stands_among_one_with_many(
    acme: Organization, other: Organization
) -> None:
    named(submit(acme, *map(str, range(8))), "many")
    for number in (1, 2):  # the line has moved on when the second organization comes
        assert claimed().position == number
    BatchFile.objects.running().update(state=State.FAILED, lease_token=None)
    named(submit(other, "a", "b"), "few")
    order = names_in_order_of_claim()
    assert order.index("few1") <= 2
    assert order.index("few2") <= 4
    assert [name for name in order if name.startswith("many")] == [f"many{n}" for n in range(3, 9)]


def test_files_of_one_job_go_in_their_order(acme: Organization) -> None:
    named(submit(acme, "b", "a", "c"), "")
    assert names_in_order_of_claim() == ["1", "2", "3"]


def test_equal_ranks_go_by_age(acme: Organization, other: Organization) -> None:
    first, second = submit(acme, "1"), submit(other, "2")
    BatchFile.objects.update(fair_rank=7)
    assert claimed().job_id == first.pk
    assert claimed().job_id == second.pk


def test_a_row_whose_time_has_not_come_waits(acme: Organization) -> None:
    submit(acme, "one")
    fail(Scripted, claimed(), failure_of(FailureClass.TRANSIENT))
    assert claim("default", SOMEBODY) is None
    BatchFile.objects.update(available_at=Now())
    assert claimed().attempts == 2


def test_a_held_row_waits(acme: Organization) -> None:
    submit(acme, "one")
    BatchFile.objects.update(is_held=True)
    assert claim("default", SOMEBODY) is None


def test_a_row_that_ended_is_not_claimed(acme: Organization) -> None:
    submit(acme, "one", "two")
    succeed(Scripted, claimed(), Scripted().read())
    fail(Scripted, claimed(), failure_of(FailureClass.PERMANENT))
    assert claim("default", SOMEBODY) is None


def test_a_paused_lane_gives_nothing_until_it_is_opened(acme: Organization) -> None:
    submit(acme, "one")
    pause(by=None, lane="default")
    assert claim("default", SOMEBODY) is None
    resume(by=None, lane="default")
    assert claimed()


def test_a_lane_paused_for_a_while_opens_by_itself(acme: Organization) -> None:
    submit(acme, "one")
    pause_for("default", seconds=60, reason="The disk is full.")
    assert claim("default", SOMEBODY) is None
    Pause.objects.update(until=in_seconds(-0.01))
    assert claimed()


def test_a_pause_stops_its_own_lane_only(acme: Organization) -> None:
    submit(acme, "one")
    fail(Scripted, claimed(), failure_of(FailureClass.RESOURCE))
    pause_for("default", seconds=60, reason="The disk is full.")
    assert claimed("heavy")


@pytest.mark.parametrize(("setting", "row", "cap"), [(2, None, 2), (2, 4, 4), (3, 0, 0)])
def test_no_more_run_than_the_lane_allows(
    acme: Organization, settings: Settings, setting: int, row: int | None, cap: int
) -> None:
    """The setting says how many, the lane's row has the last word; 0 stops the lane."""
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": setting}
    if row is not None:
        Lane.objects.create(name="default", max_running=row)
    submit(acme, *map(str, range(6)))
    for _ in range(cap):
        claimed()
    assert claim("default", SOMEBODY) is None


def test_a_place_that_gets_free_is_taken(acme: Organization, settings: Settings) -> None:
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 1}
    submit(acme, "one", "two")
    first = claimed()
    assert claim("default", SOMEBODY) is None
    succeed(Scripted, first, Scripted().read())
    assert claimed().position == 2


def test_an_organization_at_its_cap_lets_others_pass(
    acme: Organization, other: Organization
) -> None:
    Lane.objects.create(name="default", max_running_per_organization=1)
    submit(acme, "1", "2", priority=Priority.HIGH)
    submit(other, "3", "4")
    assert [claimed().organization_id, claimed().organization_id] == [acme.pk, other.pk]
    assert claim("default", SOMEBODY) is None
