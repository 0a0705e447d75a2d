"""Who goes first when there is much: high before a thousand low, few files beside many."""

import random
import uuid
from datetime import timedelta
from typing import cast

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.accounts.services import create_organization
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import pause_job, resume_job
from apps.queue.claim import claim
from apps.queue.lanes import take_ranks
from apps.queue.models import Lane, Priority, in_seconds
from apps.queue.pauses import pause, resume
from apps.queue.settle import succeed
from tests.batches import SOMEBODY, Scripted, claimed, owner_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("script")]


def many(organization: Organization, count: int, *, priority: Priority = Priority.NORMAL) -> None:
    """Jobs of 50 files, as `submit` leaves them, without bytes."""
    for first in range(0, count, 50):
        files = min(50, count - first)
        job = BatchJob.objects.create(
            organization=organization, operation="extract", priority=priority, total=files
        )
        ranks = take_ranks(
            BatchFile, organization=organization, lane="default", priority=priority, count=files
        )
        BatchFile.objects.bulk_create(
            BatchFile(
                organization=organization,
                job=job,
                position=position,
                name=f"{position}.txt",
                kind="txt",
                lane="default",
                priority=priority,
                fair_rank=rank,
            )
            for position, rank in enumerate(ranks, start=1)
        )


def finish(file: BatchFile) -> None:
    assert succeed(Scripted, file, Scripted().read(str(file.pk)))


def test_high_overtakes_a_thousand_low_at_the_next_free_slot(acme: Organization) -> None:
    many(acme, 1000, priority=Priority.LOW)
    running = [claimed() for _ in range(3)]
    many(acme, 10, priority=Priority.HIGH)
    assert claim("default", SOMEBODY) is None, "all slots are taken: what runs goes on"
    priorities = []
    for _ in range(12):
        finish(running.pop(0))
        running.append(claimed())
        priorities.append(running[-1].priority)
    assert priorities == [Priority.HIGH] * 10 + [Priority.LOW] * 2


def test_five_files_beside_five_hundred_wait_at_most_twice_as_long_as_alone(
    acme: Organization, other: Organization, settings: Settings
) -> None:
    """In ends of files, one slot: alone the fifth would start after four, and after the one that
    runs when it comes."""
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 1}
    many(acme, 500)
    for _ in range(20):  # the line has moved on when they come
        finish(claimed())
    running = claimed()
    many(other, 5)
    waits = []
    for ended in range(1, 30):
        finish(running)
        running = claimed()
        if running.organization_id == other.pk:
            waits.append(ended)
    alone = [1, 2, 3, 4, 5]
    assert len(waits) == 5
    assert all(wait <= 2 * by_itself for wait, by_itself in zip(waits, alone, strict=True)), waits


def test_what_one_brought_at_another_priority_does_not_put_it_back(
    acme: Organization, other: Organization
) -> None:
    many(acme, 200, priority=Priority.LOW)
    many(other, 50, priority=Priority.HIGH)
    for _ in range(50):
        finish(claimed())
    many(other, 5, priority=Priority.LOW)
    turns = []
    for _ in range(10):
        turns.append(claimed().organization_id)
        finish(BatchFile.objects.running().get())
    assert turns.count(other.pk) == 5


@pytest.mark.parametrize("what", ["organization", "job"])
def test_what_goes_on_after_a_pause_stands_beside_the_others(
    acme: Organization, other: Organization, what: str
) -> None:
    """Not before all that they brought since, for as long as it is."""
    many(acme, 50)
    job = BatchJob.objects.get()
    if what == "job":
        pause_job(actor=owner_of(acme), job=job)
    else:
        pause(by=None, organization=acme)
    many(other, 100)
    for _ in range(60):
        finish(claimed())
    if what == "job":
        resume_job(actor=owner_of(acme), job=job)
    else:
        resume(by=None, organization=acme)
    many(other, 5)
    turns = []
    for _ in range(20):
        running = claimed()
        turns.append(running.organization_id)
        finish(running)
    assert turns.count(acme.pk) == turns.count(other.pk) == 10
    read = job.files.filter(state="succeeded").values_list("position", flat=True)
    assert sorted(read) == list(range(1, 11))


def test_who_is_paused_does_not_hold_the_line_back(
    acme: Organization, other: Organization, alice: User
) -> None:
    """Else who comes first now would stand where the paused one stood, before all others."""
    third = create_organization(name="Third", owner=alice)
    many(acme, 5)
    pause(by=None, organization=acme)
    many(other, 100)
    for _ in range(50):
        finish(claimed())
    many(third, 50)
    turns = []
    for _ in range(10):
        turns.append(claimed().organization_id)
        finish(BatchFile.objects.running().get())
    assert turns.count(other.pk) == turns.count(third.pk) == 5


@pytest.mark.parametrize("looks_first", [True, False])
def test_who_is_held_back_changes_nothing_in_the_order_of_the_others(
    acme: Organization, other: Organization, alice: User, settings: Settings, looks_first: bool
) -> None:
    """One is paused and one at its cap, each with rows before, between and behind the others'."""
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 1000}
    capped, third = (create_organization(name=name, owner=alice) for name in ("Capped", "Third"))
    for owner in (acme, other, capped, third):
        for priority in Priority:
            many(owner, 4, priority=priority)
    shuffled = random.Random(1)
    for pk in BatchFile.objects.order_by("pk").values_list("pk", flat=True):
        # Some equal: then the id decides.
        BatchFile.objects.filter(pk=pk).update(fair_rank=shuffled.randrange(12))
    late = BatchFile.objects.filter(organization=third).order_by("priority", "fair_rank", "id")[:2]
    BatchFile.objects.filter(pk__in=[row.pk for row in late]).update(available_at=in_seconds(60))
    Lane.objects.create(name="default", max_running_per_organization=5)
    first = BatchFile.objects.filter(organization=capped)[:5]
    BatchFile.objects.filter(pk__in=[row.pk for row in first]).update(
        state="running", lease_token=uuid.uuid4(), lease_expires_at=in_seconds(60)
    )
    pause(by=None, organization=acme)
    pause(by=None, organization=other, until=timezone.now() - timedelta(seconds=1))  # is over
    due = BatchFile.objects.claimable("default").filter(organization__in=(other, third))
    expected, turns = list(due.values_list("pk", flat=True)), []
    assert len(expected) == 22
    while found := claim("default", SOMEBODY, looks_first=looks_first):
        turns.append(found[1].pk)
        finish(cast(BatchFile, found[1]))
    assert turns == expected
