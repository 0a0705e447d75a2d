"""What lies on disk against what rows tell of, while both change."""

import threading
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs import stock, storage
from apps.jobs.models import BatchFile, Blob, Checkpoint
from tests.batches import submit, together
from tests.jobs.containers import submit_files

pytestmark = pytest.mark.django_db


def wrong() -> dict[str, int]:
    return {found.name: found.count for found in stock.inspect() if found.status != "ok"}


def put_aside(acme: Organization, name: str = "ab" * 32) -> Path:
    """Bytes that no row tells of."""
    path = storage.blobs() / acme.pk.hex / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"nobody's")
    return path


def test_what_was_put_there_just_now_is_no_orphan(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction may be under way, however long ago it was written."""
    put_aside(acme)
    assert wrong() == {}
    monkeypatch.setattr(stock, "ORPHAN_SECONDS", -1)
    assert wrong() == {"orphan bytes": 1}


@pytest.mark.django_db(transaction=True)
def test_what_is_removed_just_now_is_not_lost(acme: Organization) -> None:
    """Its bytes go before its row does."""
    blob = Blob.objects.create(organization=acme, sha256="a" * 64, size_bytes=8)
    put_aside(acme, blob.sha256)
    is_half_gone = threading.Event()

    def remove() -> None:
        with transaction.atomic():
            Blob.objects.select_for_update().get(pk=blob.pk)
            storage.path_of(blob).unlink()
            is_half_gone.set()
            threading.Event().wait(0.5)
            blob.delete()

    def look() -> dict[str, int]:
        assert is_half_gone.wait(5)
        return wrong()

    assert together([remove, look])[1] == {}


@pytest.mark.django_db(transaction=True)
def test_what_is_put_there_just_now_is_not_lost(acme: Organization) -> None:
    """A row that a removal left without its bytes gets them from whoever submits them again."""
    blob = Blob.objects.create(organization=acme, sha256="a" * 64, size_bytes=8)
    storage.path_of(blob).parent.mkdir(parents=True)
    is_locked = threading.Event()

    def put() -> None:
        with transaction.atomic():
            Blob.objects.select_for_update().get(pk=blob.pk)
            is_locked.set()
            threading.Event().wait(0.5)
            put_aside(acme, blob.sha256)

    def look() -> dict[str, int]:
        assert is_locked.wait(5)
        return wrong()

    assert together([put, look])[1] == {}


def test_all_bytes_of_an_organization_are_lost_with_its_disk(
    acme: Organization, data_dir: Path
) -> None:
    jobs = {submit_files(acme, {f"{name}.txt": b"one"}).pk for name in "ab"}
    jobs.add(submit(acme, "two").pk)
    (data_dir / "blobs").rename(data_dir / "elsewhere")
    assert wrong() == {"lost bytes": 2}
    assert set(stock.jobs_with_lost_bytes()) == jobs
    (data_dir / "elsewhere").rename(data_dir / "blobs")
    assert wrong() == {}


def test_a_checkpoint_without_its_bytes_is_nothing(acme: Organization) -> None:
    submit(acme, "one")
    blob = Blob.objects.create(organization=acme, sha256="a" * 64, size_bytes=8)
    Checkpoint.objects.create(
        file=BatchFile.objects.get(), stage="reading", fingerprint="", content=blob
    )
    assert wrong() == {}


def test_examples_are_few_and_name_the_job(acme: Organization) -> None:
    job = submit(acme, *"12345")
    for blob in Blob.objects.all():
        storage.path_of(blob).unlink()
    [lost] = (found for found in stock.inspect() if found.status != "ok")
    assert (lost.count, len(lost.examples)) == (5, 3)
    files = {str(pk) for pk in BatchFile.objects.values_list("pk", flat=True)}
    for told in lost.examples:
        assert told.split()[:2] == ["job", str(job.pk)]
        assert told.split()[3] in files


def test_the_walk_tells_how_far_it_is_and_ends(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(acme, *"12345")
    monkeypatch.setattr(stock, "PORTION", 2)
    told: list[int] = []
    assert all(found.status == "ok" for found in stock.inspect(told.append))
    assert told == sorted(told)
    assert told[-1] == 10  # five rows and five files
    monkeypatch.setattr(stock, "WALK_LIMIT", 4)
    assert wrong() == {"walk": 8}


def test_a_disk_that_may_not_be_read_loses_nothing(acme: Organization, settings: Settings) -> None:
    """Doctor as another user must not say that bytes are gone."""
    submit(acme, "one")
    blob = Blob.objects.get()
    folder = storage.path_of(blob).parent.parent
    folder.rename(folder.with_name("aside"))
    folder.symlink_to(folder)  # nobody gets through here, root neither
    with pytest.raises(OSError, match="symbolic links"):
        stock.inspect()
