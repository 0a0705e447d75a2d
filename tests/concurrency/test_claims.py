"""Claims at the same moment: every row once, and caps hold."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, FileAttempt
from apps.queue.claim import claim
from apps.queue.models import Lane
from apps.queue.pauses import pause
from apps.queue.retry import FailureClass
from apps.queue.settle import fail
from apps.queue.states import State
from tests.batches import Scripted, check_books, claimed, failure_of, submit, together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]

CLAIMERS = 8


def overshoot() -> int:
    """By how many a cap may be passed: claimers of one moment do not see each other there."""
    return CLAIMERS - 1 if connection.vendor == "postgresql" else 0


@pytest.mark.postgres
def test_skip_locked_is_not_what_keeps_claims_apart(
    acme: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it claimers see the same row first, and the conditional UPDATE lets one of them."""
    monkeypatch.setattr(type(connection.features), "has_select_for_update_skip_locked", False)
    test_each_of_100_files_is_claimed_once(acme, settings)


def test_each_of_100_files_is_claimed_once(acme: Organization, settings: Settings) -> None:
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 1000}
    for job in range(2):
        submit(acme, *(f"{job} {number}" for number in range(50)))

    def take_all() -> list[uuid.UUID]:
        worker_id, mine = uuid.uuid4(), []
        while found := claim("default", worker_id):
            assert found[1].worker_id == worker_id
            mine.append(found[1].pk)
        return mine

    taken = together([take_all] * CLAIMERS)
    assert max(Counter(pk for mine in taken for pk in mine).values()) == 1
    assert sum(map(len, taken)) == 100
    assert FileAttempt.objects.filter(number=1).count() == 100
    assert FileAttempt.objects.count() == 100
    assert not BatchFile.objects.exclude(state=State.RUNNING, attempts=1).exists()


@pytest.mark.postgres
def test_a_row_that_is_being_claimed_hides_none_behind_it(
    acme: Organization, other: Organization
) -> None:
    """Also where somebody is paused, and the look finds the row that another has locked."""
    submit(acme, *map(str, range(5)))
    jobs = [submit(other, text) for text in ("one", "two", "three")]
    pause(by=None, organization=acme)
    taken, both_have = [], threading.Barrier(2)

    def take() -> None:
        with transaction.atomic():
            taken.append(claimed().pk)
            both_have.wait(20)

    together([take, take])
    assert sorted(taken) == sorted(job.files.get().pk for job in jobs[:2])


def claim_and_finish(most: Callable[[], int]) -> Callable[[], list[int]]:
    """Works a lane off; notes what `most` says right after each claim."""

    def work() -> list[int]:
        seen = []
        # None: empty, or full at the moment.
        while BatchFile.objects.unfinished().exists():
            if found := claim("default", uuid.uuid4()):
                seen.append(most())
                fail(Scripted, found[1], failure_of(FailureClass.PERMANENT))
        return seen

    return work


def test_a_lanes_cap_holds(acme: Organization, settings: Settings) -> None:
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 2}
    submit(acme, *map(str, range(40)))
    running = BatchFile.objects.running().count
    seen = together([claim_and_finish(running)] * CLAIMERS)
    assert 1 <= max(max(each, default=0) for each in seen) <= 2 + overshoot()
    assert sum(map(len, seen)) == 40
    check_books()


def test_an_organizations_cap_holds(acme: Organization, other: Organization) -> None:
    Lane.objects.create(name="default", max_running=4, max_running_per_organization=1)
    for organization in (acme, other):
        submit(organization, *(f"{organization} {number}" for number in range(15)))

    def most_of_one_organization() -> int:
        owners = BatchFile.objects.running().values_list("organization", flat=True)
        return max(Counter(owners).values(), default=0)

    seen = together([claim_and_finish(most_of_one_organization)] * CLAIMERS)
    assert 1 <= max(max(each, default=0) for each in seen) <= 1 + overshoot()
    assert sum(map(len, seen)) == 30
    check_books()
