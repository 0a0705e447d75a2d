"""The lease while a run goes on: kept, lost, cut off from the database, cancelled, reported on."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job
from apps.queue import lease
from apps.queue.lease import LeaseKeeper
from apps.queue.settle import take_back
from tests.batches import Scripted, claimed, owner_of, submit
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]


@pytest.fixture(autouse=True)
def _quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LEASE_SECONDS = 3
    settings.LEASE_RENEW_SECONDS = 1
    monkeypatch.setattr(lease, "TICK_SECONDS", 0.05)


@pytest.fixture
def file(acme: Organization) -> BatchFile:
    submit(acme, "one")
    return claimed()


@pytest.fixture
def keeper(file: BatchFile) -> Iterator[LeaseKeeper]:
    with LeaseKeeper(Scripted, file) as keeper:
        yield keeper


def expiry() -> datetime:
    expires_at = BatchFile.objects.get().lease_expires_at
    assert expires_at is not None
    return expires_at


def test_the_lease_is_extended_again_and_again(keeper: LeaseKeeper) -> None:
    first = expiry()
    eventually(lambda: expiry() >= first + timedelta(seconds=1.9), seconds=10)
    assert not keeper.should_stop()


def keepers() -> int:
    return [thread.name for thread in threading.enumerate()].count("lease-keeper")


def test_nobody_renews_after_the_run(file: BatchFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread serves the next row of the slot, and ends where none comes."""
    monkeypatch.setattr(lease, "IDLE_TICKS", 30)  # 1.5 s
    with LeaseKeeper(Scripted, file):
        assert keepers() == 1
    last = expiry()
    with LeaseKeeper(Scripted, file):
        assert keepers() == 1
    time.sleep(1.2)
    assert expiry() == last
    eventually(lambda: keepers() == 0)


def test_an_error_of_one_row_does_not_cost_the_next_one_its_keeper(
    file: BatchFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def progressed(row: BatchFile) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched, LeaseKeeper(Scripted, file) as keeper:
        patched.setattr(Scripted, "progressed", progressed)
        keeper.report("reading", 0.5)
        time.sleep(0.3)
    with LeaseKeeper(Scripted, file):
        first = expiry()
        eventually(lambda: expiry() > first, seconds=10)


def test_a_row_that_was_taken_back_is_lost_within_about_a_second(keeper: LeaseKeeper) -> None:
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    assert take_back(Scripted, BatchFile.objects.get().pk)
    eventually(lambda: keeper.is_lost, seconds=2)
    assert keeper.should_stop()


def test_a_row_that_another_worker_has_by_now_is_lost_and_not_touched(keeper: LeaseKeeper) -> None:
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    take_back(Scripted, BatchFile.objects.get().pk)
    second = claimed()
    keeper.report("late", 0.9)
    eventually(lambda: keeper.is_lost, seconds=2)
    now = BatchFile.objects.get()
    assert (now.lease_token, now.stage, now.progress) == (second.lease_token, "", 0)
    assert now.lease_expires_at == second.lease_expires_at


def test_a_cancel_is_seen_within_about_a_second(
    acme: Organization, keeper: LeaseKeeper, settings: Settings
) -> None:
    settings.LEASE_SECONDS, settings.LEASE_RENEW_SECONDS = 30, 5  # so no renewal brings the news
    cancel_job(actor=owner_of(acme), job=BatchJob.objects.get())
    eventually(keeper.should_stop, seconds=2)
    assert keeper.is_cancelled
    assert not keeper.is_lost


def test_a_renewal_that_hangs_does_not_keep_a_lease_alive(
    file: BatchFile,
) -> None:
    """Another transaction holds the row, as a frozen database does: no answer and no error."""
    with transaction.atomic():
        BatchFile.objects.select_for_update().get(pk=file.pk)
        started = time.monotonic()
        keeper = LeaseKeeper(Scripted, file)
        keeper.__enter__()
        eventually(lambda: keeper.is_lost, seconds=10)
        assert time.monotonic() - started < 3  # before anybody else may take the row
    keeper.__exit__(None, None, None)


def test_without_a_database_the_run_stops_before_the_lease_ends(
    keeper: LeaseKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every renewal fails: the database is nowhere to be found."""
    started = time.monotonic()
    key = "NAME" if connection.vendor == "sqlite" else "HOST"
    monkeypatch.setitem(connection.settings_dict, key, "/nowhere/at/all")
    eventually(lambda: keeper.is_lost, seconds=10)
    assert 1.5 < time.monotonic() - started < 3


def test_a_database_that_comes_back_in_time_is_found_again(
    keeper: LeaseKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = expiry()
    key = "NAME" if connection.vendor == "sqlite" else "HOST"
    with monkeypatch.context() as cut:
        cut.setitem(connection.settings_dict, key, "/nowhere/at/all")
        eventually(lambda: "renewal failed" in caplog.text, seconds=10)
    eventually(lambda: expiry() > first, seconds=10)
    assert not keeper.is_lost


def test_progress_never_goes_back_and_stays_in_bounds(keeper: LeaseKeeper) -> None:
    seen = []
    for fraction in (0.5, 0.2, float("nan"), -3):
        keeper.report("reading", fraction)
        seen.append(eventually(lambda: BatchFile.objects.get().progress, seconds=5))
    assert seen == [0.5] * 4
    keeper.report("reading", 7)
    eventually(lambda: BatchFile.objects.get().progress == 1.0, seconds=5)


def test_a_second_attempt_goes_on_from_where_the_first_was(keeper: LeaseKeeper) -> None:
    keeper.report("reading", 0.5)
    eventually(lambda: BatchFile.objects.get().progress == 0.5, seconds=5)
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    take_back(Scripted, BatchFile.objects.get().pk)
    with LeaseKeeper(Scripted, claimed()) as second:
        second.report("again", 0.1)
        eventually(lambda: BatchFile.objects.get().stage == "again", seconds=5)
        assert BatchFile.objects.get().progress == 0.5


def test_progress_is_written_once_a_second_at_most_and_tells_the_job(keeper: LeaseKeeper) -> None:
    before = BatchJob.objects.get().revision
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < 2.5:
        keeper.report("reading", elapsed / 3)
        time.sleep(0.001)
    written = BatchJob.objects.get().revision - before
    assert 2 <= written <= 3


def test_a_stage_is_cut_to_its_column(keeper: LeaseKeeper) -> None:
    keeper.report("x" * 500, 0.1)
    eventually(lambda: BatchFile.objects.get().stage == "x" * 32, seconds=5)


def open_connections() -> int:
    """How many connections to the database are open, of this process or at the server."""
    if connection.vendor == "sqlite":
        name = f"{connection.settings_dict['NAME']}-wal"  # the one file that is closed at once
        files = Path("/proc/self/fd").iterdir()
        return sum(file.exists() and str(file.readlink()) == name for file in files)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"  # and not its own, which clean up at times
        )
        return int(cursor.fetchone()[0])


def test_the_renewing_threads_connection_is_closed(file: BatchFile) -> None:
    before = open_connections()
    with LeaseKeeper(Scripted, file):
        first = expiry()
        eventually(lambda: expiry() > first, seconds=10)
        assert open_connections() == before + 1
    eventually(lambda: open_connections() == before, seconds=5)
