"""What is old enough goes, in chunks; what is unfinished, kept or shared stays."""

import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.jobs import cleanup, storage
from apps.jobs.cleanup import Gone, remove, would_go
from apps.jobs.models import BatchFile, BatchJob, Blob, FileAttempt, FileResult
from apps.jobs.services import keep_job, pause_job, retry_job
from apps.jobs.services.removing import lock_to_remove
from tests.audit.entries import acts
from tests.batches import check_books, owner_of, together
from tests.batches import submit_exactly as submit
from tests.jobs.ageing import cancelled, expire, expired, on_disk, read
from tests.jobs.runs import fail_next, read_next
from tests.processes import launch, live_database_url

pytestmark = pytest.mark.django_db


# --- what goes and what stays --------------------------------------------------------------------


def test_a_job_whose_time_is_over_goes_with_all_that_is_its_own(
    acme: Organization, data_dir: Path
) -> None:
    read(acme, "one", "two")
    expire()
    size = sum(Blob.objects.values_list("size_bytes", flat=True))
    assert remove(expired()) == Gone(1, 2, size)
    for model in (BatchJob, BatchFile, FileAttempt, FileResult, Blob):
        assert not model.objects.exists()
    assert on_disk(data_dir) == set()


def test_what_is_unfinished_kept_or_in_time_stays(acme: Organization) -> None:
    owner = owner_of(acme)
    in_time, kept, stopped = read(acme, "a"), read(acme, "b"), cancelled(acme, "c")
    failed, again = submit(acme, "d"), submit(acme, "e")
    for _ in range(2):
        fail_next()
    paused, waits = submit(acme, "f"), submit(acme, "g")
    pause_job(actor=owner, job=paused)
    expire(kept, stopped, failed, again, paused, waits)
    keep_job(actor=owner, job=kept, kept=True)
    retry_job(actor=owner, job=again)
    assert remove(expired()).jobs == 2
    assert set(BatchJob.objects.all()) == {in_time, kept, again, paused, waits}
    check_books()
    keep_job(actor=owner, job=kept, kept=False)
    assert remove(expired()).jobs == 1


def test_time_counts_from_the_end_of_a_job(acme: Organization) -> None:
    """One that waited for a month, or was run again after one, does not go as it ends."""
    job = submit(acme, "text")
    expire()
    fail_next()
    assert not expired().exists()
    expire()
    retry_job(actor=owner_of(acme), job=job)
    read_next()
    assert not expired().exists()


def test_jobs_go_in_small_transactions(
    acme: Organization, other: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "CHUNK_JOBS", 3)
    monkeypatch.setattr(cleanup, "CHUNK_FILES", 5)
    for _ in range(7):
        cancelled(acme, "one file")
    for _ in range(3):
        cancelled(other, "two", "files")
    cancelled(other, *map(str, range(8)))
    expire()
    parts: list[Gone] = []
    remove(expired(), tell=parts.append)
    assert not BatchJob.objects.exists()
    assert all(part.jobs <= 3 and (part.files <= 5 or part.jobs == 1) for part in parts)
    assert sum(parts, Gone()) == Gone(11, 21, sum(part.size_bytes for part in parts))


def test_what_went_is_on_record_in_its_organization(
    acme: Organization, other: Organization
) -> None:
    jobs = [cancelled(acme, "one"), cancelled(acme, "two", "more"), cancelled(other, "three")]
    expire()
    remove(expired())
    entries = {entry.organization_id: entry for entry in acts()}
    assert entries.keys() == {acme.pk, other.pk}
    entry = entries[acme.pk]
    assert (entry.action, entry.actor_name, entry.target) == ("job.expire", "system", "job")
    assert json.loads(entry.detail) == {
        "jobs": 2,
        "files": 3,
        "ids": sorted(str(job.pk) for job in jobs[:2]),
    }


# --- shared bytes --------------------------------------------------------------------------------


def test_bytes_stay_until_their_last_user_is_gone(acme: Organization, data_dir: Path) -> None:
    first = read(acme, "shared", "its own")
    second = read(acme, "shared")
    third = cancelled(acme, "shared, too")
    duplicate = second.files.get()
    assert duplicate.duplicate_of is not None
    expire(first)
    remove(expired())
    duplicate.refresh_from_db()
    assert duplicate.duplicate_of is None
    assert duplicate.result.pages == 1
    for blob in (duplicate.content, duplicate.result.content):
        assert storage.path_of(blob).exists()
    expire(second)
    remove(expired())
    assert on_disk(data_dir) == {third.files.get().sha256}


def test_what_waits_for_bytes_of_a_job_that_goes_is_read_itself(acme: Organization) -> None:
    """As when a process dies between the end of the one and seeing to the other."""
    leader, follower = submit(acme, "the same"), submit(acme, "the same")
    file = follower.files.get()
    assert file.waits_for == leader.files.get()
    BatchFile.objects.filter(job=leader).update(state="cancelled", finished_at=Now())
    BatchJob.objects.filter(pk=leader.pk).update(state="cancelled", cancelled=1, finished_at=Now())
    expire(leader)
    remove(expired())
    read_next()
    follower.refresh_from_db()
    assert follower.state == "succeeded"


def test_other_organizations_have_bytes_of_their_own(
    acme: Organization, other: Organization, data_dir: Path
) -> None:
    expire(cancelled(acme, "the same"))
    theirs = cancelled(other, "the same").files.get()
    remove(expired())
    assert storage.path_of(theirs.content).exists()


# --- counting without doing ----------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 0, 1, 2, 3, 4, 9])
def test_the_dry_run_counts_what_the_real_one_removes(
    acme: Organization, limit: int | None
) -> None:
    read(acme, "shared", "of the first alone")
    read(acme, "shared", "another")
    read(acme, "shared", "another", "last")
    cancelled(acme, "shared", "in time, too")
    expire()
    expire(cancelled(acme, "in time, too"))
    read(acme, "another")
    chosen = expired() if limit is None else expired()[:limit]
    expected = would_go(chosen)
    assert expected.jobs == min(5 if limit is None else limit, 5)
    assert BatchJob.objects.count() == 6
    assert remove(expired(), limit=limit) == expected


# --- at once, and cut short ----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_several_at_once_remove_each_job_once(acme: Organization, data_dir: Path) -> None:
    for number in range(24):
        cancelled(acme, "shared", str(number), f"{number // 2}")
    expire()
    expected = would_go(expired())
    parts = together([lambda: remove(expired())] * 4)
    assert sum(parts, Gone()).jobs == expected.jobs == 24
    assert sum(parts, Gone()).size_bytes == expected.size_bytes
    assert not Blob.objects.exists()
    assert on_disk(data_dir) == set()


@pytest.mark.django_db(transaction=True)
def test_duplicates_of_each_other_do_not_stop_several_at_once(
    acme: Organization, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "CHUNK_JOBS", 1)
    for number in range(9):
        read(acme, "the same", "again", str(number))
    expire()
    together([lambda: remove(expired())] * 3)
    assert not BatchJob.objects.exists()
    assert on_disk(data_dir) == set()


@pytest.mark.django_db(transaction=True)
def test_cleanup_and_submissions_of_the_same_bytes_at_once(
    acme: Organization, data_dir: Path
) -> None:
    for _ in range(4):
        read(acme, "the same", "bytes")
        expire()

        def send() -> None:
            submit(acme, "the same", "bytes")

        together([send, lambda: remove(expired()), send])
        while BatchFile.objects.filter(state="queued", waits_for=None).exists():
            read_next()
        for file in BatchFile.objects.select_related("content", "result__content"):
            assert storage.path_of(file.content).exists()
            assert storage.path_of(file.result.content).exists()
        check_books()
    assert on_disk(data_dir) == set(Blob.objects.values_list("sha256", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_kept_while_cleanup_waits_for_it_stays(acme: Organization) -> None:
    job, owner = cancelled(acme, "text"), owner_of(acme)
    expire()
    page = cleanup._page(expired(), 10)
    keep_job(actor=owner, job=job, kept=True)
    assert cleanup._remove_chunk(expired(), [page[0][1]]) == Gone()
    assert BatchJob.objects.get() == job


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_job_that_somebody_holds_on_to_stays_and_the_others_go(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, loose = cancelled(acme, "held"), cancelled(acme, "loose")
    expire()
    monkeypatch.setattr(cleanup, "CHUNK_JOBS", 1)

    def remove_impatiently() -> Gone:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '300ms'")
        return remove(expired())

    with transaction.atomic():
        lock_to_remove([held.pk])
        [gone] = together([remove_impatiently])
    assert gone.jobs == 1
    assert list(BatchJob.objects.all()) == [held] != [loose]


DIES = """
import os, signal, sys
import django
django.setup()
from apps.jobs import cleanup
calls = []
module = cleanup if sys.argv[1] == "record" else cleanup.storage
real = getattr(module, sys.argv[1])
def dies(*args, **more):
    calls.append(args)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **more)
setattr(module, sys.argv[1], dies)
cleanup.CHUNK_JOBS = 2
cleanup.cleanup()
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("point", "left"), [("record", 6), ("release", 4)])
def test_a_cleanup_that_is_killed_loses_nothing_and_the_next_goes_on(
    acme: Organization, data_dir: Path, tmp_path: Path, point: str, left: int
) -> None:
    """Within the third transaction, or after it and before its bytes are released."""
    for number in range(10):
        cancelled(acme, "shared", str(number), f"{number} more")
    expire()
    stays = read(acme, "shared", "stays", "0")
    env = {"DATABASE_URL": live_database_url(), "DOCMILL_DATA_DIR": str(data_dir)}
    process = launch(
        [sys.executable, "-c", DIES, point],
        log=tmp_path / "dies.log",
        env={**os.environ, **env, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    assert process.wait(60) == -signal.SIGKILL, (tmp_path / "dies.log").read_text()
    assert BatchJob.objects.count() == left + 1
    assert remove(expired()).jobs == left
    assert BatchJob.objects.get() == stays
    Blob.objects.update(created_at=Now() - timedelta(days=40))
    storage.remove_orphans()
    used = {blob for file in stays.files.all() for blob in (file.content, file.result.content)}
    assert set(Blob.objects.all()) == used
    assert on_disk(data_dir) == {blob.sha256 for blob in used}
