"""Bytes on disk: put in place and taken away by several at once, and never lost."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import leftovers, storage
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.services import cancel_job, delete_job
from tests.batches import owner_of, submit, together
from tests.jobs.containers import submit_files
from tests.jobs.forms import accepted, part, stored


def on_disk(data_dir: Path) -> set[str]:
    return {Path(name).name for name in stored(data_dir / "blobs")}


@pytest.mark.django_db(transaction=True)
def test_deleting_and_submitting_the_same_bytes_at_once_loses_nothing(
    acme: Organization, data_dir: Path
) -> None:
    actor = owner_of(acme)

    def delete(job: BatchJob) -> None:
        delete_job(actor=actor, job=job)

    def send() -> BatchJob:
        job = submit_files(acme, {"1.txt": b"the same bytes"})
        assert storage.path_of(job.files.get().content).read_text() == "the same bytes"
        return cancel_job(actor=actor, job=job)

    jobs = [send(), send()]
    for _ in range(12):
        doomed = jobs
        work: list[Callable[[], BatchJob | None]] = []
        for job in doomed:
            work += [send, lambda job=job: delete(job)]
        jobs = [made for made in together(work) if made is not None]
        assert {job.pk for job in jobs} == set(BatchJob.objects.values_list("pk", flat=True))
        for file in BatchFile.objects.select_related("content"):
            assert storage.path_of(file.content).read_text() == "the same bytes"
    for job in jobs:
        delete(job)
    assert not Blob.objects.exists()
    assert on_disk(data_dir) == set()


def test_missing_bytes_are_put_back_by_the_next_who_brings_them(
    acme: Organization, data_dir: Path
) -> None:
    """As after a crash between taking the bytes away and committing it."""
    first = submit_files(acme, {"1.txt": b"text"}).files.get().content
    storage.path_of(first).unlink()
    second = submit_files(acme, {"1.txt": b"text"}).files.get().content
    assert second == first
    assert storage.path_of(second).read_text() == "text"


def test_what_is_in_use_is_not_released(acme: Organization, data_dir: Path) -> None:
    blob = submit(acme, "text").files.get().content
    assert storage.release([blob.pk, blob.pk + 1]) == []
    assert on_disk(data_dir) == {blob.sha256}


def test_bytes_without_a_row_and_rows_without_a_use_are_removed(
    acme: Organization, data_dir: Path
) -> None:
    used = submit(acme, "in use").files.get().content
    shelf = storage.path_of(used).parent
    (shelf / f"{shelf.name}{'0' * 62}").write_bytes(
        b"left by a process that was killed before its commit"
    )
    forgotten = submit(acme, "forgotten")
    unused = forgotten.files.get().content
    forgotten.delete()
    long_ago = timezone.now() - timedelta(days=2)
    Blob.objects.filter(pk=unused.pk).update(created_at=long_ago)

    assert storage.remove_orphans() == 2

    assert on_disk(data_dir) == {used.sha256}
    assert list(Blob.objects.all()) == [used]
    assert storage.remove_orphans() == 0


def test_bytes_on_their_way_are_not_taken_for_orphans(acme: Organization, data_dir: Path) -> None:
    """A job whose deletion is not followed by its release yet, and a new one, keep their bytes."""
    job = submit(acme, "text")
    blob = job.files.get().content
    job.delete()
    assert storage.remove_orphans() == 0
    assert on_disk(data_dir) == {blob.sha256}


@pytest.mark.django_db
def test_uploads_that_never_finished_go_after_a_day(data_dir: Path) -> None:
    incoming = data_dir / "incoming"
    long_ago = time.time() - storage.STALE_UPLOAD_SECONDS - 60
    for name in ("old", "new"):
        (incoming / name).mkdir(parents=True)
        (incoming / name / "1").write_bytes(b"x")
        (incoming / f"{name}-result").write_bytes(b"x")
    for name in ("old", "old-result"):
        os.utime(incoming / name, (long_ago, long_ago))
    assert leftovers.remove_stale_uploads() == 2
    assert {path.name for path in incoming.iterdir()} == {"new", "new-result"}


def test_nobody_but_the_service_may_look_into_its_directories(
    acme: Organization, data_dir: Path
) -> None:
    submit(acme, "text")
    for name in ("incoming", "blobs"):
        assert (data_dir / name).stat().st_mode & 0o077 == 0, name


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, set[str] | bytes]]:
    """What is synced, as it was then: a directory with its names, a file with its bytes."""
    seen: list[tuple[Path, set[str] | bytes]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        names = {each.name for each in path.iterdir()} if path.is_dir() else None
        seen.append((path, path.read_bytes() if names is None else names))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to name what is synced")
def test_what_is_acknowledged_outlives_a_power_cut(
    alice_api: APIClient, data_dir: Path, synced: list[tuple[Path, set[str] | bytes]]
) -> None:
    """Before the answer the bytes are synced, then their name and that of each directory above."""
    contents = [b"one\n" * 5000, b"two\n"]
    accepted(alice_api, *(part(each, f"{len(each)}.txt") for each in contents))
    blobs = data_dir / "blobs"
    assert len(on_disk(data_dir)) == len(contents)
    for name in stored(blobs):
        path = blobs / name
        first = [what for _, what in synced].index(path.read_bytes())
        assert (path.parent, path.name) in _names(synced[first:])
        for directory in (path.parent, path.parent.parent, blobs):
            assert (directory.parent, directory.name) in _names(synced)


def _names(synced: list[tuple[Path, set[str] | bytes]]) -> set[tuple[Path, str]]:
    """The names in directories that were synced when they were there."""
    directories = ((path, what) for path, what in synced if isinstance(what, set))
    return {(path, name) for path, names in directories for name in names}


def test_a_folder_that_is_nobodys_is_left_alone(acme: Organization, data_dir: Path) -> None:
    stray = data_dir / "blobs" / "lost+found" / "aa"
    stray.mkdir(parents=True)
    (stray / "something").write_text("of the file system's")
    assert storage.remove_orphans() == 0
    assert (stray / "something").exists()


@pytest.mark.django_db(transaction=True)
def test_rows_that_nothing_refers_to_go_in_portions(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        Blob.objects.create(organization=acme, sha256=f"{number:064x}", size_bytes=1)
    Blob.objects.update(created_at=timezone.now() - timedelta(days=2))
    young = Blob.objects.create(organization=acme, sha256=f"{7:064x}", size_bytes=1)
    portions, release = list[int](), storage.release

    def noted(blob_ids: Iterable[int]) -> list[Blob]:
        ids = list(blob_ids)
        portions.append(len(ids))
        return release(ids)

    monkeypatch.setattr(storage, "release", noted)
    monkeypatch.setattr(storage, "LISTED_TOGETHER", 3)
    assert storage.remove_orphans() == 7
    assert portions == [3, 3, 1]
    assert list(Blob.objects.all()) == [young]
