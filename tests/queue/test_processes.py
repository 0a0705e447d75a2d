"""Real workers and a real beat: how soon they start, what dies with them, what does not."""

import os
import signal
import statistics
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection, transaction
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


def lose_lease() -> None:
    """A worker claims a file and is never heard of again."""
    claimed()
    BatchFile.objects.running().update(lease_expires_at=Now() - timedelta(seconds=1))


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a child that has just ended by itself
            os.kill(pid, number)


def freeze(pids: list[int]) -> None:
    """Stops them all, but in no transaction: the locks of one would keep everybody waiting."""
    signal_all(pids, signal.SIGSTOP)
    while is_anything_locked():
        signal_all(pids, signal.SIGCONT)
        signal_all(pids, signal.SIGSTOP)


def is_anything_locked() -> bool:
    sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 300" if sqlite else "SET lock_timeout = 300")
        try:
            with transaction.atomic():
                list(BatchFile.objects.select_for_update())
                list(BatchJob.objects.select_for_update())
        except OperationalError:
            return True
        finally:
            cursor.execute("PRAGMA busy_timeout = 20000" if sqlite else "SET lock_timeout = 0")
    return False


@pytest.mark.once
def test_a_worker_starts_at_once_and_leaves_in_order(
    acme: Organization, manage: Manage, valkey: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sweep runs here: it is the doorbell that is heard, after a FLUSHALL too."""
    worker = manage(*WORK, env=SETTINGS | {"SHUTDOWN_GRACE_SECONDS": "2"})
    node = wait_until_ready(worker)
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
        median = statistics.median(waits)
        sys.stdout.write(f"\ncommit to start: median {median:.3f} s, p95 {p95:.3f} s\n")
    assert p95 < 1
    check_all_succeeded()
    eventually(lambda: WorkerNode.objects.get().seen_at > node.seen_at, seconds=15)

    job = submit(acme, "1 short", "60 long", "60 long too", "60 never claimed")
    eventually(lambda: running_of(node) == 3)
    asked = timezone.now()
    assert worker.terminate(seconds=20) == 0
    assert worker.descendants() == []
    assert not WorkerNode.objects.exists()
    short, *long, unclaimed = BatchFile.objects.filter(job=job).order_by("position")
    assert (short.state, short.attempts) == (State.SUCCEEDED, 1)
    for file in long:
        assert (file.state, file.failures, file.crashes, file.losses) == (State.QUEUED, 0, 0, 0)
        attempt = FileAttempt.objects.get(row=file)
        assert attempt.failure_class == FailureClass.INTERRUPTED
        assert timedelta(seconds=2) <= attempt.ended_at - asked < timedelta(seconds=6)
    assert (unclaimed.state, unclaimed.attempts) == (State.QUEUED, 0)
    check_books()
    check_nothing_runs()


def test_what_dies_or_freezes_costs_a_lease_and_nothing_else(
    acme: Organization, manage: Manage
) -> None:
    first = manage(*WORK, env=SETTINGS)
    manage("beat", env=SETTINGS)
    node = wait_until_ready(first)

    # One slot is killed, as by the kernel when memory runs out: its neighbours go on.
    job = submit(acme, "2 a", "2 b", "2 c")
    eventually(lambda: running_of(node) == 3)
    slots = children_of(first.pid)
    assert len(slots) == 3
    os.kill(slots[0], signal.SIGKILL)
    second = manage(*WORK, env=SETTINGS)
    wait_until_closed(job)
    attempts = BatchFile.objects.filter(job=job).values_list("attempts", flat=True)
    assert sorted(attempts) == [1, 1, 2]
    assert FileAttempt.objects.get(outcome="retry").failure_class == FailureClass.LOST
    assert first.is_running
    wait_until_ready(second)

    # A worker is frozen for longer than its lease, then wakes: it must not write over the other's.
    job = submit(acme, *(f"1.5 {name}" for name in "abcdef"))
    eventually(lambda: BatchFile.objects.running().count() == 6)
    taken = list(BatchFile.objects.running().filter(worker_id=node.pk))
    assert len(taken) == 3
    pids = whole(first)
    freeze(pids)
    wait_until_closed(job)
    finished = dict(BatchFile.objects.values_list("pk", "finished_at"))
    signal_all(pids, signal.SIGCONT)
    first.wait_for("its lease was lost")
    for file in taken:
        file.refresh_from_db()
        assert (file.attempts, file.finished_at) == (2, finished[file.pk])
    check_all_succeeded()

    # It is killed with everything it started, as by a power cut.
    job = submit(acme, *(f"1.5 {name}" for name in "ghijkl"))
    eventually(lambda: running_of(node) == 3)
    signal_all(whole(first), signal.SIGKILL)
    wait_until_closed(job)
    lost = FileAttempt.objects.filter(row__job=job, failure_class=FailureClass.LOST)
    assert list(lost.values_list("worker_id", flat=True)) == [node.pk] * 3
    check_all_succeeded()


def test_beat_takes_back_an_expired_lease_with_no_broker(
    acme: Organization, manage: Manage, valkey: Valkey
) -> None:
    valkey.kill()
    submit(acme, "0 a")
    lose_lease()
    first, second = (manage("beat", env=SETTINGS) for _ in range(2))
    eventually(lambda: BatchFile.objects.get().state == State.QUEUED)
    run = PeriodicRun.objects.get(name="sweep").runs
    eventually(lambda: PeriodicRun.objects.get(name="sweep").runs > run + 1)
    assert FileAttempt.objects.count() == 1
    assert PeriodicRun.objects.get(name="sweep").error == ""
    assert [first.terminate(seconds=5), second.terminate(seconds=5)] == [0, 0]


@pytest.mark.once
def test_beat_catches_up_and_sweeps_while_something_takes_long(
    acme: Organization, manage: Manage, valkey: Valkey
) -> None:
    """A daily entry that was missed runs at once, and here never ends."""
    valkey.kill()
    missed = Now() - timedelta(hours=30)
    PeriodicRun.objects.create(name="remove_orphans", started_at=missed, finished_at=missed)
    recent = Now() - timedelta(minutes=5)
    PeriodicRun.objects.create(name="remove_stale_uploads", started_at=recent, finished_at=recent)
    env = SETTINGS | {"DJANGO_SETTINGS_MODULE": "tests.queue.slow_settings"}
    beat = manage("beat", env=env)
    held = eventually(
        lambda: PeriodicRun.objects.filter(name="remove_orphans", finished_at=None).first()
    )
    submit(acme, "0 a")
    lose_lease()
    eventually(lambda: BatchFile.objects.get().state == State.QUEUED, seconds=5)
    # Killed in the middle: the next beat runs it again once its lease is over, and not before.
    beat.kill()
    beat = manage("beat", env=env)
    swept = PeriodicRun.objects.get(name="sweep").runs
    beat.wait_for(lambda: PeriodicRun.objects.get(name="sweep").runs > swept + 2)
    assert PeriodicRun.objects.get(name="remove_orphans").runs == held.runs
    PeriodicRun.objects.filter(name="remove_orphans").update(lease_expires_at=Now())
    beat.wait_for("remove_orphans was cut short and runs again")
    assert PeriodicRun.objects.get(name="remove_stale_uploads").runs == 0
    assert beat.terminate(seconds=5) == 0


@pytest.fixture
def no_broker(valkey: Valkey) -> Mapping[str, str]:
    valkey.kill()
    return SETTINGS


@pytest.mark.once
def test_work_loop_needs_no_broker_and_no_beat(
    acme: Organization, manage: Manage, no_broker: Mapping[str, str]
) -> None:
    lost = submit(acme, "0 lost")
    lose_lease()
    worker = manage(*WORK, "--loop", env={**no_broker, "SHUTDOWN_GRACE_SECONDS": "1"})
    node = wait_until_ready(worker)
    job = submit(acme, "1 a", "1 b", "1 c")
    eventually(lambda: running_of(node) >= 2)
    wait_until_closed(job)
    wait_until_closed(lost)
    submit(acme, "60 long")
    eventually(lambda: running_of(node) == 1)
    assert worker.terminate(seconds=10) == 0
    assert BatchFile.objects.get(state=State.QUEUED).failures == 0
    assert not WorkerNode.objects.exists()


def test_a_worker_goes_on_from_sql_while_the_broker_is_away(
    acme: Organization, manage: Manage, valkey: Valkey
) -> None:
    valkey.kill()
    worker = manage(*WORK, env=SETTINGS | {"SHUTDOWN_GRACE_SECONDS": "1"})
    wait_until_closed(submit(acme, "0 nobody rang"), seconds=40)
    worker.wait_for("no broker: working from SQL")
    assert any("--loop" in command for command in commands_below(worker))
    valkey.start()
    eventually(lambda: not any("--loop" in c for c in commands_below(worker)), seconds=30)
    wait_until_closed(submit(acme, "0 rung for"))
    valkey.kill()
    wait_until_closed(submit(acme, "0 away again"), seconds=40)
    assert worker.terminate(seconds=20) == 0
    assert worker.descendants() == []
    check_all_succeeded()


def commands_below(worker: Process) -> list[str]:
    commands = []
    for pid in worker.descendants():
        with suppress(FileNotFoundError, ProcessLookupError):
            commands.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " "))
    return commands


@pytest.mark.once
def test_work_once_runs_all_that_can_start_now_and_ends(
    acme: Organization, manage: Manage, no_broker: Mapping[str, str]
) -> None:
    submit(acme, "0 a", "0 b", "0 c")
    lose_lease()
    worker = manage("work", "--once", env=no_broker)
    assert worker.wait() == 0
    assert "3 run" in worker.output
    check_all_succeeded()
