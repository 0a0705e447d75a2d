"""What the end of a run does to the row, its attempt, its job and its result; and what cannot."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob, Completion, FileAttempt, FileResult
from apps.jobs.services import cancel_job, retry_job
from apps.jobs.states import JobState
from apps.queue.claim import claim
from apps.queue.models import Pause
from apps.queue.retry import FailureClass, Usage
from apps.queue.settle import fail, succeed, take_back
from apps.queue.states import State
from tests.batches import (
    SOMEBODY,
    Scripted,
    check_books,
    check_nothing_runs,
    claimed,
    failure_of,
    owner_of,
    submit,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("script")]


def expire(file: BatchFile) -> None:
    BatchFile.objects.filter(pk=file.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


def seconds_until_available(file: BatchFile) -> float:
    file.refresh_from_db()
    return (file.available_at - timezone.now()).total_seconds()


def test_success_ends_the_row_and_keeps_the_result(acme: Organization) -> None:
    job = submit(acme, "one")
    file = claimed()
    output = Scripted().read("two words")
    assert succeed(Scripted, file, output)
    file.refresh_from_db()
    assert (file.state, file.progress, file.error_code) == (State.SUCCEEDED, 1.0, "")
    assert (file.lease_token, file.lease_expires_at, file.worker_id) == (None, None, None)
    assert file.finished_at is not None
    assert (file.result.words, file.result.run) == (2, 1)
    attempt = FileAttempt.objects.get()
    assert (attempt.outcome, attempt.failure_class) == ("succeeded", "")
    assert attempt.ended_at is not None
    job.refresh_from_db()
    assert (job.state, job.succeeded) == (JobState.SUCCEEDED, 1)
    check_books()


def test_the_attempt_tells_what_the_run_cost_and_why_it_failed(acme: Organization) -> None:
    submit(acme, "one")
    file = claimed()
    usage = Usage(peak_rss_bytes=5_000_000_000, cpu_seconds=1.5)
    told = failure_of(FailureClass.TRANSIENT, usage=usage, traceback="Traceback ...")
    assert fail(Scripted, file, told)
    attempt = FileAttempt.objects.get()
    assert (attempt.outcome, attempt.failure_class) == ("retry", "transient")
    assert (attempt.code, attempt.detail) == ("test.failed", "It failed.")
    assert (attempt.peak_rss_bytes, attempt.cpu_seconds) == (5_000_000_000, 1.5)
    assert attempt.traceback == "Traceback ..."
    file.refresh_from_db()
    assert (file.error_class, file.error_code) == ("transient", "test.failed")
    assert file.error_detail == "It failed."


@pytest.mark.parametrize(
    ("failure_class", "state", "counter"),
    [
        (FailureClass.PERMANENT, State.FAILED, "failed"),
        (FailureClass.TRANSIENT, State.RETRY_WAIT, None),
        (FailureClass.RATE_LIMITED, State.RETRY_WAIT, None),
        (FailureClass.RESOURCE, State.QUEUED, None),
        (FailureClass.CRASH, State.QUEUED, None),
        (FailureClass.LOST, State.QUEUED, None),
        (FailureClass.INFRA, State.RETRY_WAIT, None),
        (FailureClass.INTERRUPTED, State.QUEUED, None),
    ],
)
def test_where_a_first_failure_leads(
    acme: Organization, failure_class: FailureClass, state: State, counter: str | None
) -> None:
    job = submit(acme, "one")
    file = claimed()
    revision = BatchJob.objects.get().revision
    assert fail(Scripted, file, failure_of(failure_class))
    file.refresh_from_db()
    assert file.state == state
    assert (file.finished_at is not None) == (counter is not None)
    job.refresh_from_db()
    assert job.revision > revision
    assert job.finished_count == (1 if counter else 0)
    check_books()
    check_nothing_runs()


@pytest.mark.parametrize(
    ("failure_class", "times", "state"),
    [
        (FailureClass.TRANSIENT, 4, State.FAILED),
        (FailureClass.RESOURCE, 2, State.FAILED),
        (FailureClass.CRASH, 2, State.QUARANTINED),
        (FailureClass.LOST, 5, State.QUARANTINED),
    ],
)
def test_what_fails_again_and_again_ends(
    acme: Organization, failure_class: FailureClass, times: int, state: State
) -> None:
    job = submit(acme, "one")
    for _ in range(times):
        BatchFile.objects.update(available_at=Now())
        found = claim("default", SOMEBODY) or claim("heavy", SOMEBODY)
        assert found is not None
        assert fail(Scripted, found[1], failure_of(failure_class))
    file = BatchFile.objects.get()
    assert (file.state, file.attempts) == (state, times)
    job.refresh_from_db()
    assert (job.state, job.counts[state]) == (JobState.FAILED, 1)
    numbers = file.attempts_made.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, times + 1))
    check_books()


def test_the_wait_is_by_the_databases_clock_and_spread(acme: Organization) -> None:
    submit(acme, *map(str, range(3)))
    waits = []
    for _ in range(3):
        file = claimed()
        fail(Scripted, file, failure_of(FailureClass.TRANSIENT))
        waits.append(seconds_until_available(file))
    assert all(23 < wait < 36.5 for wait in waits)
    assert len({round(wait, 1) for wait in waits}) > 1


def test_our_limit_moves_the_row_to_the_heavy_lane_with_what_was_saved(
    acme: Organization,
) -> None:
    submit(acme, "one")
    file = claimed()
    saved = Scripted().read("first page")
    fail(Scripted, file, failure_of(FailureClass.RESOURCE, output=saved.value))
    file.refresh_from_db()
    assert (file.lane, file.is_heavy, file.state) == ("heavy", True, State.QUEUED)
    assert file.result.words == 2
    assert seconds_until_available(file) < 1
    assert claim("default", SOMEBODY) is None
    assert claimed("heavy").pk == file.pk


def test_a_fault_of_our_machine_pauses_the_lane(acme: Organization) -> None:
    submit(acme, "one", "two")
    fail(Scripted, claimed(), failure_of(FailureClass.INFRA))
    assert claim("default", SOMEBODY) is None
    assert Pause.objects.get().reason == "It failed."
    Pause.objects.update(until=Now())
    assert claimed().position == 2


def test_a_later_success_replaces_what_was_saved(acme: Organization) -> None:
    submit(acme, "one")
    saved = Scripted().read("half")
    fail(Scripted, claimed(), failure_of(FailureClass.RESOURCE, output=saved.value))
    succeed(Scripted, claimed("heavy"), Scripted().read("all of it"))
    assert FileResult.objects.get().words == 3
    assert BatchFile.objects.get().error_code == ""
    check_books()
    check_nothing_runs()


# --- a cancel that comes first wins ---------------------------------------------------------------


def test_a_result_after_a_cancel_is_dropped(acme: Organization) -> None:
    job = submit(acme, "one")
    file = claimed()
    cancel_job(actor=owner_of(acme), job=job)
    assert BatchJob.objects.get().state == JobState.CANCELLING
    assert succeed(Scripted, file, Scripted().read())
    file.refresh_from_db()
    assert (file.state, file.cancel_requested) == (State.CANCELLED, False)
    assert not FileResult.objects.exists()
    assert FileAttempt.objects.get().outcome == "cancelled"
    assert BatchJob.objects.get().state == JobState.CANCELLED
    check_books()


@pytest.mark.parametrize("failure_class", sorted(FailureClass))
def test_no_failure_runs_a_cancelled_row_again(
    acme: Organization, failure_class: FailureClass
) -> None:
    job = submit(acme, "one")
    file = claimed()
    cancel_job(actor=owner_of(acme), job=job)
    assert fail(Scripted, file, failure_of(failure_class))
    file.refresh_from_db()
    assert (file.state, file.error_code) == (State.CANCELLED, "")
    assert not Pause.objects.exists()
    check_books()


# --- the fence ------------------------------------------------------------------------------------


def everything() -> list[object]:
    """All that a settled run can change."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (BatchJob, BatchFile, FileAttempt, FileResult, Completion, Pause)
    ]


Write = Callable[[BatchFile], bool]
WRITES: dict[str, Write] = {
    "success": lambda file: succeed(Scripted, file, Scripted().read("late")),
    "failure": lambda file: fail(Scripted, file, failure_of(FailureClass.PERMANENT)),
    "infra": lambda file: fail(Scripted, file, failure_of(FailureClass.INFRA)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_late_writer_changes_nothing_while_the_row_waits_again(
    acme: Organization, write: Write
) -> None:
    submit(acme, "one")
    file = claimed()
    expire(file)
    assert take_back(Scripted, file.pk)
    before = everything()
    assert write(file) is False
    assert everything() == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_late_writer_changes_nothing_while_another_runs_the_row(
    acme: Organization, write: Write
) -> None:
    submit(acme, "one")
    late = claimed()
    expire(late)
    take_back(Scripted, late.pk)
    second = claimed(worker_id=uuid.uuid4())
    assert second.pk == late.pk
    before = everything()
    assert write(late) is False
    assert everything() == before
    assert succeed(Scripted, second, Scripted().read())


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_was_settled_stays_settled(acme: Organization, write: Write) -> None:
    submit(acme, "one")
    file = claimed()
    assert succeed(Scripted, file, Scripted().read("the result"))
    before = everything()
    assert write(file) is False
    assert everything() == before


REACH: dict[State, Callable[[BatchJob], object]] = {
    State.QUEUED: lambda job: None,
    State.RETRY_WAIT: lambda job: fail(Scripted, claimed(), failure_of(FailureClass.TRANSIENT)),
    State.SUCCEEDED: lambda job: succeed(Scripted, claimed(), Scripted().read()),
    State.FAILED: lambda job: fail(Scripted, claimed(), failure_of(FailureClass.PERMANENT)),
    State.QUARANTINED: lambda job: [
        fail(Scripted, claimed(), failure_of(FailureClass.CRASH)) for _ in range(2)
    ],
    State.CANCELLED: lambda job: cancel_job(actor=owner_of(job.organization), job=job),
}


def test_every_state_but_running_is_tried() -> None:
    assert set(REACH) == set(State) - {State.RUNNING}


@pytest.mark.parametrize("state", sorted(REACH))
def test_a_move_that_the_table_does_not_know_changes_nothing(
    acme: Organization, state: State
) -> None:
    """A row that does not run is not settled, not taken back, and claimed only from waiting."""
    REACH[state](submit(acme, "one"))
    file = BatchFile.objects.get()
    assert file.state == state
    before = everything()
    output = Scripted().read()
    assert not succeed(Scripted, file, output)
    file.lease_token = uuid.uuid4()
    assert not succeed(Scripted, file, output)
    assert not fail(Scripted, file, failure_of(FailureClass.TRANSIENT))
    assert not take_back(Scripted, file.pk)
    assert everything() == before
    assert (claim("default", SOMEBODY) is not None) == (state == State.QUEUED)


def test_a_lease_that_still_holds_is_not_taken_back(acme: Organization) -> None:
    submit(acme, "one")
    file = claimed()
    assert not take_back(Scripted, file.pk)
    assert BatchFile.objects.get().lease_token == file.lease_token


# --- the transaction ------------------------------------------------------------------------------


def test_what_breaks_in_the_middle_leaves_nothing_and_can_be_repeated(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away after the result was put in place: the next try has the result."""
    submit(acme, "one")
    file = claimed()
    output = Scripted().read("precious")
    before = everything()

    def gone(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as broken:
        broken.setattr("apps.jobs.handler.count_end", gone)
        with pytest.raises(OperationalError):
            succeed(Scripted, file, output)
    assert everything() == before
    assert succeed(Scripted, file, output)
    assert FileResult.objects.get().words == 1
    check_books()


def test_a_retry_by_hand_opens_a_new_run_with_a_clean_slate(acme: Organization) -> None:
    job = submit(acme, "one")
    for _ in range(2):
        fail(Scripted, claimed(), failure_of(FailureClass.CRASH))
    retry_job(actor=owner_of(acme), job=job)
    file = claimed()
    assert (file.run, file.attempts, file.crashes) == (2, 3, 0)
    assert fail(Scripted, file, failure_of(FailureClass.CRASH))
    succeed(Scripted, claimed(), Scripted().read())
    job.refresh_from_db()
    assert (job.state, job.counts["quarantined"]) == (JobState.SUCCEEDED, 0)
    check_books()
    check_nothing_runs()
