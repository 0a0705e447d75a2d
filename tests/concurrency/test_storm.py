"""Everything at once on the same jobs: no deadlock, and the books are right afterwards."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import cast

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.errors import JobFinished, JobUnfinished, NothingToRetry
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.jobs.services import cancel_job, resume_job, retry_job
from apps.queue import schedule, worker
from apps.queue.claim import claim
from apps.queue.models import Pause, PeriodicRun
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from apps.queue.states import State
from apps.queue.sweep import raise_priorities, sweep, take_back_lost
from tests.batches import (
    SOMEBODY,
    Scripted,
    check_books,
    check_nothing_runs,
    claimed,
    failure_of,
    owner_of,
    submit,
    together,
)
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]

THREADS = 6
ACTS = 40
REFUSALS = (JobFinished, JobUnfinished, NothingToRetry)


class Actor:
    """One of those who do what comes to their mind. It may hold rows that were taken from it."""

    def __init__(self, organization: Organization, seed: int) -> None:
        self.random = random.Random(seed)
        self.owner = owner_of(organization)
        self.held: list[BatchFile] = []
        self.acts: list[Callable[[], object]] = [
            *[self.claim] * 6,
            *[self.settle] * 6,
            self.cancel,
            self.retry,
            self.retry,
            self.lose,
            sweep,
            raise_priorities,
        ]

    def __call__(self) -> None:
        for _ in range(ACTS):
            with suppress(*REFUSALS):
                self.random.choice(self.acts)()

    def claim(self) -> None:
        lane = self.random.choice(["default", "default", "heavy"])
        if found := claim(lane, SOMEBODY):
            self.held.append(cast(BatchFile, found[1]))

    def settle(self) -> None:
        if not self.held:
            return
        file = self.held.pop(self.random.randrange(len(self.held)))
        if self.random.random() < 0.5:
            succeed(Scripted, file, Scripted().read(self.random.choice(["same", str(file.pk)])))
        else:
            fail(Scripted, file, failure_of(self.random.choice(list(FailureClass))))

    def any_job(self) -> BatchJob:
        return self.random.choice(list(BatchJob.objects.order_by("pk")))

    def cancel(self) -> None:
        cancel_job(actor=self.owner, job=self.any_job())

    def retry(self) -> None:
        retry_job(actor=self.owner, job=self.any_job())

    def lose(self) -> None:
        """Somebody's lease runs out; they do not know."""
        running = list(BatchFile.objects.running().order_by("pk"))
        if running:
            file = self.random.choice(running)
            BatchFile.objects.filter(pk=file.pk, state=State.RUNNING).update(
                lease_expires_at=Now() - timedelta(seconds=1)
            )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_claim_settle_cancel_retry_lose_and_sweep_at_once(
    acme: Organization, settings: Settings, seed: int
) -> None:
    settings.QUEUE_LANES = dict.fromkeys(settings.QUEUE_LANES, 100)
    settings.RETRY_BASE_SECONDS = 0.01
    for job in range(4):
        submit(acme, *(f"{job} {number}" for number in range(4)))
    together([Actor(acme, seed * 100 + number) for number in range(THREADS)])
    check_books()
    # Whoever still held something is gone now; the survivors finish the rest.
    BatchFile.objects.running().update(lease_expires_at=Now() - timedelta(seconds=1))
    take_back_lost()
    Pause.objects.all().delete()
    for job in BatchJob.objects.filter(state="paused"):  # what was to be spent was spent
        resume_job(actor=owner_of(acme), job=job)
    BatchFile.objects.unfinished().update(available_at=Now())
    for lane in ("default", "heavy"):
        worker.work_off(lane)
    assert not BatchFile.objects.unfinished().exists()
    check_books()
    check_nothing_runs()


def test_sweeps_at_the_same_moment_take_a_row_back_once(
    acme: Organization, settings: Settings
) -> None:
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 100}
    submit(acme, *map(str, range(30)))
    for _ in range(30):
        claimed()
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    assert sum(together([take_back_lost] * 6)) == 30
    assert not BatchFile.objects.exclude(state=State.QUEUED, losses=1).exists()
    assert not FileAttempt.objects.exclude(failure_class="lost").exists()
    check_books()


def is_somebody_waiting_for_a_lock() -> bool:
    """In this test's own database: beside it other tests wait for locks in theirs. Not from
    pg_stat_activity, which says the same until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks waiting JOIN pg_locks mine ON mine.pid = waiting.pid"
            " JOIN pg_database ON pg_database.oid = mine.database"
            " WHERE NOT waiting.granted AND datname = current_database()"
        )
        return cursor.fetchone() is not None


@pytest.mark.postgres
def test_a_run_that_fails_while_its_job_is_cancelled_is_not_tried_again(
    acme: Organization,
) -> None:
    """The end of the run comes in between the cancel's UPDATE and its COMMIT."""
    job = submit(acme, "one")
    file = claimed()

    def fails() -> None:
        fail(Scripted, file, failure_of(FailureClass.TRANSIENT))
        connection.close()

    ending = threading.Thread(target=fails)
    with transaction.atomic():
        cancel_job(actor=owner_of(acme), job=job)
        ending.start()
        eventually(is_somebody_waiting_for_a_lock)
    ending.join()
    file.refresh_from_db()
    assert file.state == State.CANCELLED
    check_books()


@pytest.mark.postgres
def test_a_sweep_does_not_wait_for_a_row_that_somebody_has_locked(acme: Organization) -> None:
    """A worker that froze in a transaction keeps its own row only."""
    submit(acme, "one", "two")
    frozen, lost = claimed(), claimed()
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    with transaction.atomic():
        BatchFile.objects.select_for_update().get(pk=frozen.pk)
        assert together([take_back_lost]) == [1]
    lost.refresh_from_db()
    assert lost.state == State.QUEUED
    assert take_back_lost() == 1


def test_beats_at_the_same_moment_begin_a_run_once(settings: Settings) -> None:
    entry = {"task": "", "schedule": 3600.0, "options": {"label": "", "does": ""}}
    settings.CELERY_BEAT_SCHEDULE = {"sweep": entry}

    def begin_if_due() -> bool:
        [run] = schedule.scheduled_runs()
        return run.is_due(run.now) and schedule.begin(run)

    for runs in range(1, 11):
        assert together([begin_if_due] * 6).count(True) == 1
        assert PeriodicRun.objects.get().runs == runs
        PeriodicRun.objects.update(started_at=None, lease_expires_at=None)
