"""What is wrong with workers, beat and clocks, and how bad that is."""

import time

import pytest
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.queue import inspection, mending, worker
from apps.queue.findings import Finding, Promise, is_overdue, silence, skew, skew_status
from apps.queue.lanes import lane_names, pause_for
from apps.queue.models import PeriodicRun, WorkerNode, in_seconds
from tests.batches import claimed, submit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("script")]


def found(name: str) -> Finding:
    [finding] = (each for each in inspection.inspect() if each.name == name)
    return finding


@pytest.mark.once
@pytest.mark.parametrize(
    ("age", "is_needed", "status"),
    [
        (3.0, True, "ok"),
        (30.0, True, "ok"),
        (31.0, True, "broken"),
        (31.0, False, "weak"),
        (None, False, "weak"),
        (None, True, "broken"),
    ],
)
def test_silence(age: float | None, is_needed: bool, status: str) -> None:
    assert silence(age, allowed_seconds=30, is_needed=is_needed) == status


@pytest.mark.once
def test_how_far_two_clocks_are_apart_for_sure() -> None:
    assert skew(10.0, 10.5, 11.0) == 0
    assert skew(10.0, 14.0, 11.0) == 3
    assert skew(10.0, 4.0, 11.0) == -6
    bounds = {"weak_from": 2, "broken_from": 300}
    told = [skew_status(off, **bounds) for off in (0, 1.9, -2, 299, -300)]
    assert told == ["ok", "ok", "weak", "weak", "broken"]


@pytest.mark.once
def test_what_is_overdue_missed_a_whole_turn() -> None:
    assert not is_overdue(130, 60, 10)
    assert is_overdue(131, 60, 10)


@pytest.mark.once
def test_a_finding_tells_some_of_many() -> None:
    promise = Promise("rows", "broken", "mend them.")
    assert promise.finding(0) == Finding("rows", "ok")
    assert promise.finding(0).detail == "none"
    many = promise.finding(5, [1, 2, 3, 4, 5])
    assert (many.status, many.examples) == ("broken", ("1", "2", "3"))
    assert many.detail == "5 (1, 2, 3, ...): mend them."
    assert promise.finding(2, [1, 2]).detail == "2 (1, 2): mend them."
    assert promise.finding(2).detail == "2: mend them."


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "ok"), (10, "weak"), (-10, "weak"), (400, "broken")]
)
def test_the_clock_of_this_machine(
    seconds: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + seconds)
    assert found("clock").status == status


def test_beat_is_missed_only_where_there_is_work(acme: Organization) -> None:
    assert found("beat").status == "weak"
    submit(acme, "one")
    assert found("beat").status == "broken"
    assert found("beat").examples == ("never",)
    PeriodicRun.objects.create(name="sweep", started_at=Now())
    assert found("beat").status == "ok"
    PeriodicRun.objects.update(started_at=in_seconds(-45))
    assert found("beat").status == "broken"


def test_a_worker_that_is_told_to_stop_finishes_what_it_has(acme: Organization) -> None:
    """It is not listed any more, and renews."""
    submit(acme, "one")
    row = claimed()
    assert found("unkept leases").status == "ok"
    type(row).objects.update(lease_expires_at=in_seconds(5))
    assert found("unkept leases").examples == (str(row.pk),)
    type(row).objects.update(worker_id=worker.worker_id)
    worker.register(lane_names(), 1)
    assert found("unkept leases").status == "ok"


def test_a_lane_without_a_worker_matters_once_something_waits_long(acme: Organization) -> None:
    job = submit(acme, "one")
    assert found("unserved lanes").status == "ok"
    job.files.update(available_at=in_seconds(-61))
    assert found("unserved lanes").examples == ("1 in default",)
    pause_for("default", seconds=60, reason="no room")
    assert found("unserved lanes").status == "ok"


def test_a_dead_worker_is_forgotten_and_a_live_one_is_not() -> None:
    worker.register(lane_names(), 1)
    assert mending.forget_dead_workers() == 0
    WorkerNode.objects.update(seen_at=in_seconds(-31))
    assert found("dead workers").count == 1
    assert mending.forget_dead_workers() == 1
    assert not WorkerNode.objects.exists()


def test_a_lease_that_ran_out_just_now_is_the_sweeps_business(acme: Organization) -> None:
    submit(acme, "one")
    row = claimed()
    type(row).objects.update(lease_expires_at=in_seconds(-3))
    assert found("stuck leases").status == "ok"
    type(row).objects.update(lease_expires_at=in_seconds(-30))
    assert found("stuck leases").examples == (str(row.pk),)


@pytest.mark.once
def test_what_runs_or_waits_is_found_by_its_index(acme: Organization) -> None:
    """Every sweep asks for it, and so does doctor, however many rows have ended."""
    assert "batchfile_ready (lane=?)" in BatchFile.objects.claimable("default").explain()
    assert "batchfile_running" in inspection.stuck(BatchFileHandler).explain()
    assert "batchfile_running" in inspection.unkept(BatchFileHandler).explain()
    assert "fileattempt_ended (ended_at=?)" in inspection.stray_attempts(BatchFileHandler).explain()
