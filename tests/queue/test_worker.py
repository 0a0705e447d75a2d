"""A slot: what a run's end means for its row, and when the slot stops claiming."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob, FileAttempt, FileResult
from apps.jobs.services import cancel_job
from apps.queue import drain, lease, worker
from apps.queue.handlers import Control, Output, RunStopped
from apps.queue.models import Pause, WorkerNode
from apps.queue.retry import FailureClass
from apps.queue.settle import succeed, take_back
from apps.queue.states import State
from tests.batches import (
    Scripted,
    check_books,
    check_nothing_runs,
    failing,
    owner_of,
    read_all,
    submit,
)
from tests.queue.conftest import Script

Tell = Callable[[Script], None]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.1)


def raising(error: Exception) -> Script:
    def script(handler: Scripted, file: BatchFile, control: Control) -> Output:
        raise error

    return script


def until_stopped(handler: Scripted, file: BatchFile, control: Control) -> Output:
    """A run that goes on until it is told to stop."""
    deadline = time.monotonic() + 20
    while not control.should_stop():
        assert time.monotonic() < deadline, "nobody stopped the run"
        time.sleep(0.01)
    raise RunStopped


def test_a_slot_works_its_lane_off(acme: Organization, script: Tell) -> None:
    job = submit(acme, "one", "two", "three")
    assert worker.work_off("default") == 3
    job.refresh_from_db()
    assert (job.state, job.succeeded) == ("succeeded", 3)
    assert worker.work_off("default") == 0
    check_nothing_runs()


@pytest.mark.parametrize(
    ("error", "failure_class", "code"),
    [
        (RuntimeError("a bug"), "transient", "queue.error"),
        (MemoryError(), "transient", "queue.error"),
        (OSError(28, "No space left on device"), "infra", "queue.storage"),
        (OperationalError("gone"), "infra", "queue.database"),
    ],
)
def test_what_nobody_foresaw_costs_a_run_and_not_the_slot(
    acme: Organization, script: Tell, error: Exception, failure_class: str, code: str
) -> None:
    submit(acme, "one")
    script(raising(error))
    assert worker.work_off("default") == 1
    file = BatchFile.objects.get()
    assert (file.state, file.error_class, file.error_code) == ("retry_wait", failure_class, code)
    attempt = FileAttempt.objects.get()
    assert type(error).__name__ in attempt.traceback
    assert "Traceback" not in file.error_detail
    Pause.objects.all().delete()
    BatchFile.objects.update(available_at=Now())
    script(read_all)
    assert worker.work_off("default") == 1
    assert BatchFile.objects.get().state == State.SUCCEEDED


def test_a_result_that_cannot_be_stored_is_a_failure(acme: Organization, script: Tell) -> None:
    def vanishing(handler: Scripted, file: BatchFile, control: Control) -> Output:
        output = handler.read()
        output.value.content.path.unlink()
        return output

    submit(acme, "one")
    script(vanishing)
    worker.work_off("default")
    file = BatchFile.objects.get()
    assert (file.state, file.error_code) == (State.RETRY_WAIT, "queue.storage")
    assert not FileResult.objects.exists()
    check_books()
    check_nothing_runs()


def test_a_result_waits_for_a_database_that_is_away(
    acme: Organization, script: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(acme, "one")
    monkeypatch.setattr(worker, "DATABASE_RETRY_SECONDS", 0.01)
    failures = iter([OperationalError("gone")] * 3)

    def flaky(*arguments: object) -> bool:
        for error in failures:
            raise error
        return succeed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "succeed", flaky)
    worker.work_off("default")
    assert BatchFile.objects.get().state == State.SUCCEEDED
    assert FileAttempt.objects.count() == 1
    check_nothing_runs()


def test_the_attempt_knows_the_stage_it_failed_in(acme: Organization, script: Tell) -> None:
    def fails_early(handler: Scripted, file: BatchFile, control: Control) -> Output:
        control.report("reading", 0.2)
        raise RuntimeError

    submit(acme, "one")
    script(fails_early)
    worker.work_off("default")
    assert FileAttempt.objects.get().stage == "reading"


# --- being stopped --------------------------------------------------------------------------------


def test_a_run_is_stopped_by_a_cancel(acme: Organization, script: Tell) -> None:
    job = submit(acme, "one", "two")

    def cancelled_on_the_way(handler: Scripted, file: BatchFile, control: Control) -> Output:
        cancel_job(actor=owner_of(acme), job=job)
        return until_stopped(handler, file, control)

    script(cancelled_on_the_way)
    assert worker.work_off("default") == 1
    job.refresh_from_db()
    assert (job.state, job.cancelled) == ("cancelled", 2)
    check_books()
    check_nothing_runs()


def test_a_run_whose_row_was_taken_back_writes_nothing(acme: Organization, script: Tell) -> None:
    submit(acme, "one")

    def taken_back(handler: Scripted, file: BatchFile, control: Control) -> Output:
        BatchFile.objects.update(lease_expires_at="2020-01-01T00:00:00Z", lane="ocr")
        assert take_back(Scripted, file.pk)
        return until_stopped(handler, file, control)

    script(taken_back)
    assert worker.work_off("default") == 1
    assert BatchFile.objects.get().state == State.QUEUED
    assert FileAttempt.objects.get().failure_class == FailureClass.LOST
    check_books()


def test_a_drain_hands_back_what_runs_longer_than_the_grace(
    acme: Organization, script: Tell, settings: Settings
) -> None:
    """Interrupted is not counted, and nothing new is claimed."""
    settings.SHUTDOWN_GRACE_SECONDS = 0.3
    submit(acme, "one", "two")

    def drained(handler: Scripted, file: BatchFile, control: Control) -> Output:
        drain.begin()
        return until_stopped(handler, file, control)

    script(drained)
    assert worker.work_off("default") == 1
    first = BatchFile.objects.get(position=1)
    assert (first.state, first.failures, first.crashes) == (State.QUEUED, 0, 0)
    assert FileAttempt.objects.get().failure_class == FailureClass.INTERRUPTED
    assert worker.work_off("default") == 0
    drain.reset()
    script(read_all)
    assert worker.work_off("default") == 2
    check_books()


def test_a_drain_lets_a_short_run_end(acme: Organization, script: Tell) -> None:
    submit(acme, "one", "two")

    def drained(handler: Scripted, file: BatchFile, control: Control) -> Output:
        drain.begin()
        assert not control.should_stop()
        return handler.read()

    script(drained)
    assert worker.work_off("default") == 1
    states = BatchFile.objects.order_by("position").values_list("state", flat=True)
    assert list(states) == [State.SUCCEEDED, State.QUEUED]


# --- rounds ---------------------------------------------------------------------------------------


def test_a_slot_returns_after_a_round_and_rings_for_the_rest(
    acme: Organization,
    script: Tell,
    monkeypatch: pytest.MonkeyPatch,
    bell: Callable[[str], int],
) -> None:
    monkeypatch.setattr(worker, "ROUND_ROWS", 2)
    submit(acme, "one", "two", "three")
    waiting = bell("default")
    assert worker.work_off("default") == 2
    assert bell("default") == max(waiting, 1)
    assert worker.work_off("default") == 1


def test_slots_of_one_process_do_not_share_a_handler(acme: Organization, script: Tell) -> None:
    used = set()
    both_run = threading.Barrier(2)

    def note(handler: Scripted, file: BatchFile, control: Control) -> Output:
        both_run.wait(20)
        used.add(handler)
        return handler.read()

    submit(acme, "one", "two")
    script(note)

    def slot() -> None:
        worker.work_off("default")
        worker.close_slot()
        connection.close()

    threads = [threading.Thread(target=slot) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(used) == 2


def test_a_worker_is_known_until_it_goes(db: None) -> None:
    worker.register(["default", "ocr"], 3)
    node = WorkerNode.objects.get()
    assert (node.lanes, node.slots) == (["default", "ocr"], 3)
    first = node.seen_at
    worker.register(["default", "ocr"], 3)
    node.refresh_from_db()
    assert node.seen_at > first
    worker.unregister()
    assert not WorkerNode.objects.exists()


def test_failures_of_a_script_reach_the_job(acme: Organization, script: Tell) -> None:
    script(failing(FailureClass.PERMANENT))
    submit(acme, "one")
    worker.work_off("default")
    assert BatchJob.objects.get().state == "failed"
