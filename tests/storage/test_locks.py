"""Nobody talks to a bucket with rows locked, but for who removes; and what happens to bytes between
their being brought and their being referred to loses none."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import stock, storage
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.places import bucket
from apps.jobs.services import delete_job, retry_job
from tests.batches import owner_of
from tests.jobs.exporting import ask, asked, build_next
from tests.jobs.forms import accepted, part
from tests.storage.bucket import Server
from tests.storage.reading import read_really

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
TEXT = b"Brought, referred to, removed.\n"


def test_only_who_removes_asks_a_bucket_in_a_transaction(
    server: Server, acme: Organization, alice_api: APIClient
) -> None:
    with server.watched() as calls:
        job = accepted(alice_api, part(TEXT), part(b"Another.", "two.txt"))["id"]
        accepted(alice_api, part(TEXT), part(TEXT, "again.txt"))  # which wait for it
        for _ in range(2):
            read_really()
        assert set(BatchFile.objects.values_list("state", flat=True)) == {"succeeded", "duplicate"}
        accepted(alice_api, part(TEXT))
        bucket._seen.forget_all()  # as in a process that has just begun
        accepted(alice_api, part(TEXT))
        export = asked(alice_api, job)
        build_next()
        assert ask(alice_api, job).json()["id"] == export["id"]
        assert not any(is_locked for _, is_locked in calls)
        calls.clear()
        for each in BatchJob.objects.all():
            delete_job(actor=owner_of(acme), job=each)
        assert {call for call, is_locked in calls if is_locked} == {"DeleteObjects"}
    assert server.names() == []
    assert not Blob.objects.exists()


def brought(acme: Organization, content: bytes = TEXT) -> storage.Incoming:
    path = storage.new_incoming_folder() / "content"
    path.write_bytes(content)
    waiting = storage.Incoming(path, hashlib.sha256(content).hexdigest(), len(content))
    [known] = storage.bring(acme, [waiting])
    assert known.blob_id is not None
    return known


def removed(acme: Organization) -> None:
    """By who used the same bytes until now."""
    storage.release(list(Blob.objects.in_organization(acme).values_list("pk", flat=True)))
    assert not Blob.objects.exists()


def brought_by_another(acme: Organization) -> None:
    """Whose row is there, and whose bytes are under way."""
    removed(acme)
    sha256 = hashlib.sha256(TEXT).hexdigest()
    Blob.objects.create(organization=acme, sha256=sha256, size_bytes=len(TEXT))


def cut_short(acme: Organization) -> None:
    """A removal whose process is killed when the bytes have gone."""
    remove = bucket.Bucket.remove

    def die(self: bucket.Bucket, keys: Any) -> None:
        remove(self, keys)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket.Bucket, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            removed(acme)
    assert Blob.objects.get().going_since is not None


@pytest.mark.parametrize("between", [removed, brought_by_another, cut_short])
def test_what_goes_between_is_put_in_place_again(
    server: Server, acme: Organization, between: Callable[[Organization], None]
) -> None:
    known = brought(acme)
    between(acme)
    assert server.names() == []
    with transaction.atomic():
        blob = storage.put(acme, known)
    assert storage.read_bytes(blob) == TEXT
    blob.refresh_from_db()
    assert (blob.going_since, blob.size_bytes) == (None, len(TEXT))


def test_what_a_removal_left_is_not_taken_for_there(server: Server, acme: Organization) -> None:
    brought(acme)
    cut_short(acme)
    path = storage.new_incoming_folder() / "content"
    path.write_bytes(TEXT)
    waiting = storage.Incoming(path, hashlib.sha256(TEXT).hexdigest(), len(TEXT))
    [known] = storage.bring(acme, [waiting])
    assert known.blob_id is None
    removal = Blob.objects.get()
    storage.release([removal.pk])  # gone on with, after it was brought
    with transaction.atomic():
        blob = storage.put(acme, known)
    assert storage.read_bytes(blob) == TEXT


def test_a_retry_looks_at_what_was_read_of_its_like_before(
    server: Server, acme: Organization, alice_api: APIClient
) -> None:
    first = accepted(alice_api, part(TEXT))["id"]
    alice_api.post(reverse("job-cancel", args=[first]))
    accepted(alice_api, part(TEXT))
    read_really()
    bucket._seen.forget_all()
    with server.watched() as calls:
        retry_job(actor=owner_of(acme), job=BatchJob.objects.get(pk=first))
    assert calls
    assert not any(is_locked for _, is_locked in calls)
    assert set(BatchFile.objects.values_list("state", flat=True)) == {"succeeded", "duplicate"}
    assert [each for each in stock.inspect() if each.count] == []
