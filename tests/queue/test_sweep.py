"""What the sweep mends, with no broker; and that two sweeps are as good as one."""

import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.jobs.services import cancel_job, requeue_job
from apps.queue import worker
from apps.queue.models import Priority, WorkerNode, in_seconds
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from apps.queue.states import State
from apps.queue.sweep import (
    forget_workers,
    raise_priorities,
    ring_for_due,
    sweep,
    take_back_lost,
)
from tests.batches import (
    Scripted,
    check_books,
    check_nothing_runs,
    claimed,
    failure_of,
    owner_of,
    submit,
    together,
)
from tests.servers import Valkey

Bell = Callable[[str], int]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("script")]


def expire_leases(seconds: float = 1) -> None:
    BatchFile.objects.running().update(lease_expires_at=Now() - timedelta(seconds=seconds))


def waited(minutes: float) -> None:
    BatchFile.objects.update(available_at=Now() - timedelta(minutes=minutes))


def test_what_a_dead_worker_had_runs_again_at_once(acme: Organization) -> None:
    submit(acme, "one", "two")
    lost, kept = claimed(), claimed()
    BatchFile.objects.filter(pk=lost.pk).update(lease_expires_at=in_seconds(-0.01))
    assert take_back_lost() == 1
    lost.refresh_from_db()
    kept.refresh_from_db()
    assert (lost.state, lost.losses, lost.failures) == (State.QUEUED, 1, 0)
    assert (kept.state, kept.lease_token is None) == (State.RUNNING, False)
    attempt = FileAttempt.objects.get(row=lost)
    assert (attempt.failure_class, attempt.code) == (FailureClass.LOST, "queue.lost")
    assert attempt.ended_at is not None
    assert claimed().pk == lost.pk


def test_a_lost_row_that_cannot_be_written_keeps_no_other_waiting(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(acme, "one", "two", "three")
    bad, good = claimed(), claimed()
    expire_leases()
    settled, rung = BatchFileHandler.settled, []

    def failing(row: BatchFile, output: object) -> None:
        if row.pk == bad.pk:
            raise ValueError("a bug of ours")
        settled(row, None)

    monkeypatch.setattr(BatchFileHandler, "settled", failing)
    monkeypatch.setattr("apps.queue.sweep.ring_for_due", lambda: rung.append(True))
    with pytest.raises(ValueError, match="a bug of ours"):
        sweep()
    good.refresh_from_db()
    assert (good.state, good.losses, rung) == (State.QUEUED, 1, [True])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_lost_row_that_somebody_holds_keeps_no_other_waiting(acme: Organization) -> None:
    """Such as a worker that froze in a transaction."""
    submit(acme, "one", "two")
    held, free = claimed(), claimed()
    expire_leases()
    is_held, sweep_ended = threading.Event(), threading.Event()

    def freeze() -> bool:
        with transaction.atomic():
            BatchFile.objects.select_for_update().get(pk=held.pk)
            is_held.set()
            return sweep_ended.wait(5)

    def take() -> int:
        assert is_held.wait(5)
        taken = take_back_lost()
        sweep_ended.set()
        return taken

    assert together([freeze, take]) == [True, 1]
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.state, free.state) == (State.RUNNING, State.QUEUED)
    assert take_back_lost() == 1


def test_the_databases_clock_decides(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker or beat whose own clock is an hour off takes nothing back early or late."""
    submit(acme, "one")
    claimed()
    real = time.time
    for offset in (3600, -3600):
        with monkeypatch.context() as clock:
            clock.setattr("time.time", lambda offset=offset: real() + offset)
            assert take_back_lost() == 0
    expire_leases()
    with monkeypatch.context() as clock:
        clock.setattr("time.time", lambda: real() - 3600)
        assert take_back_lost() == 1


def test_a_lost_row_that_was_cancelled_is_cancelled(acme: Organization) -> None:
    job = submit(acme, "one")
    file = claimed()
    cancel_job(actor=owner_of(acme), job=job)
    expire_leases()
    sweep()
    file.refresh_from_db()
    job.refresh_from_db()
    assert (file.state, job.state, job.cancelled) == (State.CANCELLED, "cancelled", 1)
    check_books()
    check_nothing_runs()


def test_the_fifth_loss_in_a_row_quarantines(acme: Organization) -> None:
    job = submit(acme, "one")
    for _ in range(5):
        claimed()
        expire_leases()
        sweep()
    job.refresh_from_db()
    assert (job.state, job.quarantined) == ("failed", 1)
    check_books()


def test_a_second_sweep_changes_nothing(acme: Organization) -> None:
    submit(acme, "one")
    claimed()
    expire_leases()
    sweep()
    before = (list(BatchFile.objects.values()), list(BatchJob.objects.values()))
    sweep()
    assert (list(BatchFile.objects.values()), list(BatchJob.objects.values())) == before


def test_an_open_job_without_an_unfinished_file_is_closed(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    succeed(Scripted, claimed(), Scripted().read())
    fail(Scripted, claimed(), failure_of(FailureClass.PERMANENT))
    # As a database restored from a backup of the wrong moment, or a bug, may have it.
    BatchJob.objects.update(state="running", finished_at=None, succeeded=0, failed=0)
    sweep()
    job.refresh_from_db()
    assert (job.state, job.succeeded, job.failed) == ("partial", 1, 1)
    check_books()


def test_a_job_with_work_left_is_left_open(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    succeed(Scripted, claimed(), Scripted().read())
    revision = BatchJob.objects.get().revision
    sweep()
    job.refresh_from_db()
    assert (job.state, job.revision) == ("running", revision)


# --- doorbells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "running", "rings"), [(5, 0, 3), (2, 0, 2), (5, 2, 1), (5, 3, 0), (0, 0, 0)]
)
def test_it_rings_for_due_rows_as_places_are_free(
    acme: Organization, bell: Bell, files: int, running: int, rings: int
) -> None:
    worker.register(["default"], 3)
    if files:
        submit(acme, *map(str, range(files)))
    for _ in range(running):
        claimed()
    ring_for_due()
    assert bell("default") == rings


def test_it_rings_when_a_row_becomes_due(acme: Organization, bell: Bell) -> None:
    worker.register(["default"], 3)
    submit(acme, "one")
    fail(Scripted, claimed(), failure_of(FailureClass.TRANSIENT))
    ring_for_due()
    assert bell("default") == 0
    BatchFile.objects.update(available_at=Now())
    ring_for_due()
    assert bell("default") == 1


def test_it_does_not_ring_where_nobody_listens(acme: Organization, bell: Bell) -> None:
    worker.register(["ocr"], 3)
    submit(acme, "one")
    ring_for_due()
    assert bell("default") == 0


def test_it_does_its_work_with_no_broker(acme: Organization, valkey: Valkey) -> None:
    worker.register(["default"], 3)
    submit(acme, "one")
    claimed()
    expire_leases()
    valkey.kill()
    sweep()
    assert BatchFile.objects.get().state == State.QUEUED


# --- ageing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priority", "minutes", "raised"),
    [
        (Priority.LOW, 29, Priority.LOW),
        (Priority.LOW, 31, Priority.NORMAL),
        (Priority.NORMAL, 119, Priority.NORMAL),
        (Priority.NORMAL, 121, Priority.HIGH),
        (Priority.HIGH, 10_000, Priority.HIGH),
    ],
)
def test_what_waits_long_moves_forward(
    acme: Organization, priority: int, minutes: int, raised: int
) -> None:
    submit(acme, "one")
    waited(minutes)
    BatchFile.objects.update(priority=priority)
    assert raise_priorities() == (priority != raised)
    assert BatchFile.objects.get().priority == raised


def test_low_work_starts_within_its_bound_however_much_high_work_comes(
    acme: Organization, other: Organization
) -> None:
    """A free slot every ten minutes, and always more high work than slots, of both."""
    low = BatchFile.objects.get(job=submit(acme, "low", priority=Priority.LOW))
    minutes = 0
    while not BatchFile.objects.filter(pk=low.pk, state=State.SUCCEEDED).exists():
        assert minutes <= 140, "two hours, and the runs that are before it then"
        for organization in (acme, other):
            submit(organization, f"high {minutes}", priority=Priority.HIGH)
        BatchFile.objects.filter(pk=low.pk).update(available_at=in_seconds(-60 * minutes))
        raise_priorities()
        succeed(Scripted, claimed(), Scripted().read(str(minutes)))
        minutes += 10
    assert minutes > 110, "high goes first until then"


def test_a_long_line_that_ages_lets_others_in_between(
    acme: Organization, other: Organization
) -> None:
    """Ten minutes for each file, one at a time: the line is older than two hours for long."""
    submit(acme, *map(str, range(20)))
    waited(180)
    new = submit(other, *map(str, range(5)))
    turns = []
    for _ in range(11):
        file = claimed()
        raise_priorities()
        turns.append(file.job_id == new.pk)
        succeed(Scripted, file, Scripted().read(str(file.pk)))
    assert sum(turns) == 5, turns


def test_a_line_that_ages_ends_beside_an_endless_one(
    acme: Organization, other: Organization
) -> None:
    low = submit(acme, "1", "2", "3", priority=Priority.LOW)
    waited(180)
    for number in range(9):
        submit(other, f"high {number}", priority=Priority.HIGH)
        raise_priorities()
        succeed(Scripted, claimed(), Scripted().read(str(number)))
    low.refresh_from_db()
    assert low.state == "succeeded"


def test_an_old_file_that_runs_again_has_waited_since_then_alone(acme: Organization) -> None:
    job = submit(acme, "one", priority=Priority.LOW)
    succeed(Scripted, claimed(), Scripted().read())
    BatchFile.objects.update(created_at=in_seconds(-86_400))
    requeue_job(actor=owner_of(acme), job=job)
    assert raise_priorities() == 0


def test_what_runs_or_ended_keeps_its_priority(acme: Organization) -> None:
    submit(acme, "one", "two", priority=Priority.LOW)
    claimed()
    succeed(Scripted, claimed(), Scripted().read())
    waited(1000)
    assert raise_priorities() == 0


# --- workers --------------------------------------------------------------------------------------


def test_workers_that_are_long_gone_are_forgotten() -> None:
    for age in (0, 9 * 60, 11 * 60):
        node = WorkerNode.objects.create(id=uuid.uuid4(), host="h", pid=1, slots=3)
        WorkerNode.objects.filter(pk=node.pk).update(seen_at=in_seconds(-age))
    assert forget_workers() == 1
    assert WorkerNode.objects.count() == 2


def test_a_lost_row_of_one_handler_does_not_wait_for_the_batch_limit(
    acme: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More lost rows than a round takes: the next rounds take the rest."""
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 10}
    monkeypatch.setattr("apps.queue.sweep.BATCH", 2)
    submit(acme, *map(str, range(5)))
    for _ in range(5):
        claimed()
    expire_leases()
    assert [take_back_lost() for _ in range(4)] == [2, 2, 1, 0]
    assert BatchFile.objects.filter(losses=F("attempts")).count() == 5
