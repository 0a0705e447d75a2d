"""All bytes go from a folder to a bucket and back, each checked; what was copied is not again."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import stock, storage
from apps.jobs.models import BatchFile, Blob
from tests.jobs.forms import accepted, part
from tests.storage.bucket import Server
from tests.storage.reading import read_really

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.timeout(300)]


def told(*words: str) -> dict[str, int]:
    out = StringIO()
    call_command("storage", *words, "--json", stdout=out)
    [row] = next(iter(json.loads(out.getvalue()).values()))
    return dict(row)


def test_a_bucket_before_anything_was_moved_makes_nothing_fail(
    server: Server, acme: Organization, alice_api: APIClient, settings: Settings, data_dir: Path
) -> None:
    settings.STORAGE_URL = ""
    accepted(alice_api, part(b"left behind"))
    settings.STORAGE_URL = server.url
    accepted(alice_api, part(b"the bucket has others of them"))
    assert {each.name: each.count for each in stock.inspect() if each.count} == {
        "lost bytes": 1,
        "bytes left behind": 1,
    }
    read_really()
    waits = BatchFile.objects.get(content__size_bytes=len(b"left behind"))
    assert (waits.state, waits.error_class) == ("retry_wait", "infra")
    assert "STORAGE_URL" in waits.error_detail
    settings.STORAGE_URL = ""
    told("migrate", "--to", server.url)
    settings.STORAGE_URL = server.url
    assert [each.name for each in stock.inspect() if each.count] == []


def test_there_and_back(
    server: Server, acme: Organization, alice_api: APIClient, settings: Settings, data_dir: Path
) -> None:
    settings.STORAGE_URL = ""
    accepted(alice_api, *(part(f"text {number}".encode()) for number in range(4)))
    assert told("check") == {"type": "folder", "works": True}
    to = ("migrate", "--to", server.url)
    assert told(*to, "--dry-run")["would_copy"] == 4
    assert server.names() == []
    lost, damaged = Blob.objects.order_by("pk")[:2]
    held, whole = (storage.path_of(blob).read_bytes() for blob in (lost, damaged))
    storage.path_of(lost).unlink()
    storage.path_of(damaged).write_bytes(b"other!")
    done = told(*to)
    assert (done["copied"], done["lost"], done["damaged"]) == (2, 1, 1)
    storage.path_of(lost).write_bytes(held)
    storage.path_of(damaged).write_bytes(whole)
    done = told(*to)
    assert (done["copied"], done["there_already"], done["lost"]) == (2, 2, 0)
    settings.STORAGE_URL = server.url
    assert told("check")["type"] == "s3"
    assert {each.name: each.count for each in stock.inspect() if each.count} == {}
    with pytest.raises(CommandError, match="already"):
        call_command("storage", *to)
    for path in list((data_dir / "blobs").glob("*/*/*")):
        path.unlink()
    assert told("migrate", "--to", "folder")["copied"] == 4
    settings.STORAGE_URL = ""
    assert {storage.read_bytes(blob) for blob in Blob.objects.all()} == {
        f"text {number}".encode() for number in range(4)
    }
    with pytest.raises(CommandError, match="s3://bucket"):
        call_command("storage", "migrate", "--to", "ftp://somewhere")
