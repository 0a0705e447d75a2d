"""Real workers and a real beat: how soon they start, what dies with them, what does not."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.queue.models import PeriodicRun, WorkerNode
from apps.queue.retry import FailureClass
from apps.queue.states import State
from tests.batches import check_books, check_nothing_runs, claimed, submit
from tests.processes import Process, eventually
from tests.servers import Valkey

Manage = Callable[..., Process]

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = {
    "EXTRA_PROCESSORS": "tests.queue.slow.SlowProcessor",
    "LEASE_SECONDS": "3",
    "LEASE_RENEW_SECONDS": "1",
    "SWEEP_SECONDS": "1",
    "DEFAULT_CONCURRENCY": "6",
}
WORK = ("work", "--lanes", "default,ocr,heavy", "--slots", "3")


def node_of(worker: Process) -> WorkerNode | None:
    return WorkerNode.objects.filter(pid=worker.pid).first()


def wait_until_ready(worker: Process) -> WorkerNode:
    worker.wait_for(lambda: node_of(worker))
    node = node_of(worker)
    assert node is not None
    return node


def running_of(node: WorkerNode) -> int:
    return int(BatchFile.objects.running().filter(worker_id=node.pk).count())


def wait_until_closed(job: BatchJob, seconds: float = 30) -> None:
    eventually(
        lambda: BatchJob.objects.filter(pk=job.pk).exclude(finished_at=None).exists(),
        seconds=seconds,
    )


def check_all_succeeded() -> None:
    assert not BatchFile.objects.exclude(state=State.SUCCEEDED).exists()
    check_books()
    check_nothing_runs()


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


def whole(worker: Process) -> list[int]:
    return [worker.pid, *worker.descendants()]


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def test_a_submission_starts_at_once_even_after_the_broker_forgot_everything(
    acme: Organization, manage: Manage, valkey: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sweep runs here: it is the doorbell that is heard."""
    worker = manage(*WORK, env=SETTINGS)
    seen = wait_until_ready(worker).seen_at
    wait_until_closed(submit(acme, "0 a", "0 b", "0 c"))
    waits = []
    for number in range(20):
        if number == 10:
            valkey.flushall()
        job = submit(acme, f"0 {number}")
        committed = timezone.now()
        wait_until_closed(job)
        started = BatchFile.objects.get(job=job).started_at
        assert started is not None
        waits.append(max(0.0, (started - committed).total_seconds()))
    p95 = statistics.quantiles(waits, n=20, method="inclusive")[-1]
    with capsys.disabled():
        print(f"\ncommit to start: median {statistics.median(waits):.3f} s, p95 {p95:.3f} s")
    assert p95 < 1
    eventually(lambda: WorkerNode.objects.get().seen_at > seen, seconds=15)
    check_all_succeeded()
    assert worker.terminate() == 0
    assert not WorkerNode.objects.exists()
    assert worker.descendants() == []


def test_sigterm_lets_short_runs_end_and_hands_back_long_ones(
    acme: Organization, manage: Manage
) -> None:
    worker = manage(*WORK, env=SETTINGS | {"SHUTDOWN_GRACE_SECONDS": "2"})
    node = wait_until_ready(worker)
    submit(acme, "1 short", "60 long", "60 long too", "60 never claimed")
    eventually(lambda: running_of(node) == 3)
    started = time.monotonic()
    assert worker.terminate(seconds=15) == 0
    assert time.monotonic() - started < 2 + 4
    assert worker.descendants() == []
    short, *long, unclaimed = BatchFile.objects.order_by("position")
    assert (short.state, short.attempts) == (State.SUCCEEDED, 1)
    for file in long:
        assert (file.state, file.failures, file.crashes, file.losses) == (State.QUEUED, 0, 0, 0)
        attempt = FileAttempt.objects.get(row=file)
        assert attempt.failure_class == FailureClass.INTERRUPTED
    assert (unclaimed.state, unclaimed.attempts) == (State.QUEUED, 0)
    check_books()
    check_nothing_runs()


def test_what_a_killed_slot_had_runs_again_and_its_neighbours_go_on(
    acme: Organization, manage: Manage
) -> None:
    worker = manage(*WORK, env=SETTINGS)
    manage("beat", env=SETTINGS)
    node = wait_until_ready(worker)
    job = submit(acme, "3 a", "3 b", "3 c")
    eventually(lambda: running_of(node) == 3)
    slots = children_of(worker.pid)
    assert len(slots) == 3
    os.kill(slots[0], signal.SIGKILL)
    wait_until_closed(job)
    attempts = sorted(BatchFile.objects.values_list("attempts", flat=True))
    assert attempts == [1, 1, 2]
    assert FileAttempt.objects.get(outcome="retry").failure_class == FailureClass.LOST
    assert worker.is_running
    check_all_succeeded()


def test_a_second_worker_takes_over_from_one_that_froze_and_one_that_was_killed(
    acme: Organization, manage: Manage
) -> None:
    first, second = manage(*WORK, env=SETTINGS), manage(*WORK, env=SETTINGS)
    manage("beat", env=SETTINGS)
    node, _ = wait_until_ready(first), wait_until_ready(second)

    # Frozen for longer than its lease, then awake again: it must not write over the other's.
    job = submit(acme, *(f"1.5 {name}" for name in "abcdef"))
    eventually(lambda: BatchFile.objects.running().count() == 6)
    taken = list(BatchFile.objects.running().filter(worker_id=node.pk))
    assert len(taken) == 3
    pids = whole(first)
    signal_all(pids, signal.SIGSTOP)
    wait_until_closed(job)
    finished = {file.pk: file.finished_at for file in BatchFile.objects.all()}
    signal_all(pids, signal.SIGCONT)
    first.wait_for("its lease was lost")
    for file in taken:
        file.refresh_from_db()
        assert (file.attempts, file.finished_at) == (2, finished[file.pk])
    check_all_succeeded()

    # Killed with everything it started, as by a power cut.
    job = submit(acme, *(f"1.5 {name}" for name in "ghijkl"))
    eventually(lambda: running_of(node) == 3)
    signal_all(whole(first), signal.SIGKILL)
    wait_until_closed(job)
    lost = FileAttempt.objects.filter(row__job=job, failure_class=FailureClass.LOST)
    assert set(lost.values_list("worker_id", flat=True)) == {node.pk}
    assert lost.count() == 3
    check_all_succeeded()


def test_beat_takes_back_an_expired_lease_with_no_broker(
    acme: Organization, manage: Manage, valkey: Valkey
) -> None:
    valkey.kill()
    submit(acme, "0 a")
    claimed()
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    first, second = (manage("beat", env=SETTINGS) for _ in range(2))
    eventually(lambda: BatchFile.objects.get().state == State.QUEUED)
    run = PeriodicRun.objects.get(name="sweep").slot
    eventually(lambda: PeriodicRun.objects.get(name="sweep").slot > run + 1)
    assert FileAttempt.objects.count() == 1
    assert PeriodicRun.objects.get(name="sweep").error == ""
    assert [first.terminate(seconds=5), second.terminate(seconds=5)] == [0, 0]


@pytest.fixture
def no_broker(valkey: Valkey) -> Mapping[str, str]:
    valkey.kill()
    return SETTINGS


def test_work_loop_needs_no_broker_and_no_beat(
    acme: Organization, manage: Manage, no_broker: Mapping[str, str]
) -> None:
    worker = manage(*WORK, "--loop", env={**no_broker, "SHUTDOWN_GRACE_SECONDS": "1"})
    node = wait_until_ready(worker)
    submit(acme, "0 lost")
    job = submit(acme, "1 a", "1 b", "1 c")
    eventually(lambda: BatchFile.objects.running().filter(worker_id=node.pk).count() >= 2)
    wait_until_closed(job)
    # What another worker lost is taken back by its own sweep.
    lost = submit(acme, "0 lost")
    eventually(lambda: not BatchFile.objects.unfinished().exists())
    BatchFile.objects.filter(job=lost).update(state=State.QUEUED)
    BatchJob.objects.filter(pk=lost.pk).update(state="queued", succeeded=0, finished_at=None)
    wait_until_closed(lost)
    submit(acme, "60 long")
    eventually(lambda: running_of(node) == 1)
    assert worker.terminate(seconds=10) == 0
    assert BatchFile.objects.get(state=State.QUEUED).failures == 0
    assert not WorkerNode.objects.exists()


def test_work_once_runs_all_that_can_start_now_and_ends(
    acme: Organization, manage: Manage, no_broker: Mapping[str, str]
) -> None:
    submit(acme, "0 a", "0 b", "0 c")
    claimed()
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    worker = manage("work", "--once", env=no_broker)
    assert worker.wait() == 0
    assert "3 run" in worker.output
    check_all_succeeded()
