"""The bucket is killed, frozen, emptied or forbidden: requests say so in time, files wait, and when
it is back all goes on."""

import errno
import hashlib
import os
import resource
import threading
import time
from itertools import count
from pathlib import Path

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.health import stored
from apps.health.report import Finding
from apps.jobs import storage
from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.places import bucket, client, place
from apps.jobs.places.bucket import Address
from apps.queue.models import Pause, in_seconds
from tests.jobs.forms import accepted, part, post
from tests.storage.bucket import Server
from tests.storage.reading import read_really

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.timeout(300)]
TEXT = b"What is read when the bucket is back.\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a test can wait for."""
    for name in ("CONNECT_SECONDS", "READ_SECONDS", "HELD_SECONDS"):
        monkeypatch.setattr(client, name, 1)
    monkeypatch.setattr(client, "TRIES", 2)
    client._made.cache_clear()


def test_frozen_it_loses_nothing(
    quick: None, server: Server, acme: Organization, alice_api: APIClient
) -> None:
    accepted(alice_api, part(TEXT))
    server.freeze()
    try:
        refused = post(alice_api, part(b"Another."))
        assert refused.status_code == 503
        assert refused.json()["code"] == "storage.unavailable"
        assert int(refused["Retry-After"]) > 0
        assert BatchJob.objects.count() == 1
        read_really()
        waiting = BatchFile.objects.get()
        assert (waiting.state, waiting.error_class) == ("retry_wait", "infra")
        assert waiting.failures == 0
        with pytest.raises(StorageUnavailable):
            storage.check()
        assert stored.Look()() == Finding("failed", "s3")
    finally:
        server.thaw()
    assert storage.check() == "s3"
    assert stored.Look()() == Finding("ok", "s3")
    Pause.objects.all().delete()
    BatchFile.objects.update(available_at=in_seconds(-1))
    read_really()
    assert BatchFile.objects.get().state == "succeeded"


def test_without_its_bucket_nothing_is_taken_for_lost(
    server: Server, acme: Organization, alice_api: APIClient
) -> None:
    accepted(alice_api, part(TEXT))
    blob = Blob.objects.get()
    server.remove_bucket()
    for look in (storage.is_there, storage.is_gone, storage.open_bytes):
        with pytest.raises(StorageUnavailable, match=r"NoSuchBucket|404"):
            look(blob)
    [file] = BatchFile.objects.all()
    answer = alice_api.get(f"/api/batch/files/{file.pk}/content")
    assert (answer.status_code, answer.json()["code"]) == (503, "storage.unavailable")
    server.empty()
    # There again and empty: as with a disk that is not mounted, that is not to say all is lost.
    assert not storage.is_there(blob)
    assert not storage.is_gone(blob)
    stray = storage.new_incoming_folder() / "other"
    stray.write_bytes(b"other")
    place().put([(bucket.Key(acme.pk, "ab" * 32), stray)])
    assert storage.is_gone(blob)


def test_what_is_fetched_is_kept_within_bounds_and_checked(
    server: Server, acme: Organization, alice_api: APIClient, settings: Settings, data_dir: Path
) -> None:
    accepted(alice_api, part(b"1" * 1000), part(b"2" * 1000), part(b"3" * 1000))
    settings.S3_CACHE_BYTES = 2000
    blobs = list(Blob.objects.order_by("pk"))
    for blob in blobs:
        with storage.local(blob) as path:
            assert path.stat().st_size == 1000
        time.sleep(0.02)
    kept = {path.name for path in (data_dir / "cache").glob("*/*/*")}
    assert kept == {blob.sha256 for blob in blobs[1:]}
    assert not list((data_dir / "cache" / "in-use").iterdir())
    name = f"bytes/{storage.key_of(blobs[0])}"
    server.client.put_object(Bucket="docmill", Key=name, Body=b"X" * 1000)
    with pytest.raises(StorageUnavailable, match="other bytes"), storage.local(blobs[0]):
        pass


def test_what_is_stale_in_the_cache_goes_and_what_is_in_use_stays(
    server: Server, acme: Organization, alice_api: APIClient, data_dir: Path
) -> None:
    accepted(alice_api, part(b"1" * 1000))
    in_use = data_dir / "cache" / "in-use"
    in_use.mkdir(parents=True)
    (in_use / "old").write_bytes(b"left")
    os.utime(in_use / "old", (0, time.time() - 25 * 3600))
    (in_use / "new").write_bytes(b"of another process")
    unused = data_dir / "cache" / acme.pk.hex / "ab" / ("ab" * 32)  # removed by another machine
    unused.parent.mkdir(parents=True)
    unused.write_bytes(b"deleted")
    os.utime(unused, (0, time.time() - 25 * 3600))
    with storage.local(Blob.objects.get()):
        pass
    assert not unused.exists()
    assert [path.name for path in in_use.iterdir()] == ["new"]


def test_no_room_for_what_is_fetched_is_a_full_disk_and_no_fault_of_the_file(
    server: Server, acme: Organization, alice_api: APIClient, data_dir: Path
) -> None:
    accepted(alice_api, part(b"1" * 4000))
    blob = Blob.objects.get()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StorageFull), storage.local(blob):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((data_dir / "cache" / "in-use").iterdir())


def test_a_file_system_without_second_names_only_keeps_nothing(
    server: Server,
    acme: Organization,
    alice_api: APIClient,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted(alice_api, part(b"1" * 1000))

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for _ in range(2):
        with storage.local(Blob.objects.get()) as path:
            assert path.read_bytes() == b"1" * 1000
    assert not list((data_dir / "cache").glob("*/*/*"))


def test_many_files_are_put_in_place_beside_each_other(
    server: Server, acme: Organization, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = storage.new_incoming_folder()
    files = []
    for number in range(20):
        content = b"%d" % number
        path = folder / str(number)
        path.write_bytes(content)
        files.append((bucket.Key(acme.pk, hashlib.sha256(content).hexdigest()), path))
    calls, met, size = count(), threading.Barrier(5), bucket.Bucket.size

    def together(self: bucket.Bucket, key: bucket.Key) -> int | None:
        if next(calls) < 5:
            met.wait(timeout=30)
        return size(self, key)

    monkeypatch.setattr(bucket.Bucket, "size", together)
    place().put(iter(files))
    assert len(server.names()) == 20


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3:///prefix", "s3://bucket"),
        ("gs://bucket", "s3://bucket"),
        ("s3://key:secret@bucket", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket?regoin=x", "regoin"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Address.parse(url)


def test_an_address_is_read() -> None:
    read = Address.parse("s3://docs/a/b/?endpoint=http://minio:9000&region=eu-central-1")
    assert read == Address("docs", "a/b", "http://minio:9000", "eu-central-1")
