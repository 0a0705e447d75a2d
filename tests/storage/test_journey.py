"""One journey on a folder and on a bucket: whoever submits and fetches sees no difference but where
the bytes come from."""

import hashlib
import json
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import stock, storage
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.places import Key, place
from tests.jobs.exporting import built
from tests.jobs.forms import accepted, part
from tests.storage.bucket import Server
from tests.storage.reading import read_really

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SAMPLE = b"A letter of which every word is read.\n" * 50


@pytest.fixture(params=["folder", "bucket"])
def where(request: pytest.FixtureRequest) -> str:
    if request.param == "bucket":
        request.getfixturevalue("server")
    return str(request.param)


def test_submitted_read_fetched_exported_and_deleted(
    where: str,
    acme: Organization,
    alice_api: APIClient,
    data_dir: Path,
    django_capture_on_commit_callbacks: Any,
) -> None:
    job = accepted(alice_api, part(SAMPLE, "letter one.txt"), part(b"Two.", "two.txt"))["id"]
    assert _kept() == {_sha(SAMPLE), _sha(b"Two.")}
    if where == "bucket":
        assert not list((data_dir / "blobs").glob("*"))
    for _ in range(2):  # a real reader, in a process of its own
        read_really()
    states = set(BatchFile.objects.values_list("state", flat=True))
    assert states == {"succeeded"}
    file = BatchFile.objects.get(position=1)
    text = alice_api.get(reverse("file-text", args=[file.pk]))
    assert b"every word is read" in text.content
    result = alice_api.get(reverse("file-result", args=[file.pk]))
    assert json.loads(_body(result))["pages"]
    content = alice_api.get(reverse("file-content", args=[file.pk]))
    assert _fetched(content) == (SAMPLE, 'attachment; filename="letter one.txt"', "text/plain")
    if where == "bucket":
        _check_link(alice_api, content, file)
    export = built(alice_api, job)
    answer = alice_api.get(export["content_url"])
    body, disposition, media = _fetched(answer)
    assert body.startswith(b"PK")
    assert disposition.startswith("attachment")
    assert media == "application/zip"
    assert {each.name: each.count for each in stock.inspect() if each.count} == {}
    _check_orphans(acme)
    with django_capture_on_commit_callbacks(execute=True):
        assert alice_api.delete(f"/api/batch/jobs/{job}").status_code in (200, 204)
    assert not BatchJob.objects.exists()
    assert _kept() == set()
    assert not Blob.objects.exists()


def test_links_lead_to_where_browsers_reach_the_bucket(
    server: Server, acme: Organization, alice_api: APIClient, settings: Settings
) -> None:
    settings.S3_PUBLIC_ENDPOINT = f"http://localhost:{server.port}"
    accepted(alice_api, part(SAMPLE, "letter one.txt"))
    file = BatchFile.objects.get()
    answer = alice_api.get(reverse("file-content", args=[file.pk]))
    assert answer["Location"].startswith(f"{settings.S3_PUBLIC_ENDPOINT}/docmill/bytes/")
    assert _fetched(answer) == (SAMPLE, 'attachment; filename="letter one.txt"', "text/plain")
    assert storage.read_bytes(Blob.objects.get()) == SAMPLE  # we go by the other one


def _check_link(api: APIClient, answer: Any, file: BatchFile) -> None:
    """It is short-lived and private, parts can be fetched, and who has the bytes gets none."""
    assert answer.status_code == 302
    assert "X-Amz-Expires=300" in answer["Location"]
    assert answer["Cache-Control"] == "private, no-store"
    request = urllib.request.Request(answer["Location"], headers={"Range": "bytes=2-7"})
    with urllib.request.urlopen(request, timeout=10) as found:
        assert (found.status, found.read()) == (206, SAMPLE[2:8])
    url = reverse("file-content", args=[file.pk])
    again = api.get(url, HTTP_IF_NONE_MATCH=answer["ETag"])
    assert (again.status_code, "Location" in again) == (304, False)


def _check_orphans(acme: Organization) -> None:
    """Bytes without a row are told of and removed, and no others."""
    stray = storage.new_incoming_folder() / "stray"
    stray.write_bytes(b"stray")
    place().put([(Key(acme.pk, _sha(b"stray")), stray)])
    before = _kept()
    assert storage.remove_orphans() == 1
    assert _kept() == before - {_sha(b"stray")}
    assert place().size(Key(acme.pk, uuid.uuid4().hex * 2)) is None


def _kept() -> set[str]:
    names = list(place().organizations())
    return {each.key.sha256 for name in names for each in place().found(name) if each.key}


def _fetched(answer: Any) -> tuple[bytes, str, str]:
    """The bytes, how they are to be saved, and what they are, from us or from where we send to."""
    if answer.status_code == 302:
        with urllib.request.urlopen(answer["Location"], timeout=10) as found:
            told = found.headers
            return found.read(), told["Content-Disposition"], told["Content-Type"]
    assert answer.status_code == 200
    return _body(answer), answer["Content-Disposition"], answer["Content-Type"]


def _body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
