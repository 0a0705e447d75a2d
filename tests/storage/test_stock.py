"""What doctor asks a bucket for."""

import uuid

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import leftovers, stock, storage
from apps.jobs.models import Blob
from apps.queue.models import in_seconds
from tests.jobs.forms import accepted, part
from tests.storage.bucket import BUCKET, Server

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.timeout(300)]


def bad() -> dict[str, int]:
    return {each.name: each.count for each in stock.inspect() if each.count}


def test_it_lists_and_asks_for_what_is_missing_alone(
    server: Server,
    acme: Organization,
    other: Organization,
    alice_api: APIClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stock, "PORTION", 5)
    accepted(alice_api, *(part(b"%d" % number) for number in range(12)))
    Blob.objects.create(organization=other, sha256="ab" * 32, size_bytes=1)  # is being brought
    with server.watched() as calls:
        assert bad() == {}
    asked = [name for name, _ in calls]
    # One for each portion, the organizations, what lies there of each, and the one that is not
    # there: whether any other of its organization is.
    assert asked.count("ListObjectsV2") <= 3 + 1 + 1 + 1
    assert set(asked) <= {"ListObjectsV2", "HeadObject", "HeadBucket"}
    assert asked.count("HeadObject") <= 2
    lost, cut = Blob.objects.in_organization(acme).order_by("sha256")[3:5]
    for blob, content in ((lost, None), (cut, b"")):
        name = f"bytes/{storage.key_of(blob)}"
        server.client.delete_object(Bucket=BUCKET, Key=name)
        if content is not None:
            server.client.put_object(Bucket=BUCKET, Key=name, Body=content)
    Blob.objects.in_organization(other).update(created_at=in_seconds(-3600))
    with server.watched() as calls:
        assert bad() == {"lost bytes": 2, "unused rows": 1}
    assert [name for name, _ in calls].count("HeadObject") <= 3 * 3
    assert stock.remove_unused() == 1


def test_pictures_are_judged_by_rows(
    server: Server, acme: Organization, alice_api: APIClient
) -> None:
    accepted(alice_api, part(b"one"), part(b"two"))
    folders = [storage.previews_of(blob) for blob in Blob.objects.all()]
    gone = storage.previews() / uuid.uuid4().hex / "ab" / ("ab" * 32)
    foreign = storage.previews() / acme.pk.hex / "ab" / ("ab" * 32)
    strange = storage.previews() / "x" / "y" / "z"
    for folder in (*folders, gone, foreign, strange):
        folder.mkdir(parents=True)
    with server.watched() as calls:
        assert leftovers.remove_orphan_previews() == 3
    assert calls == []
    assert all(folder.is_dir() for folder in folders)
