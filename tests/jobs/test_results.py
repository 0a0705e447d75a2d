"""results.ndjson and results.zip: complete, safe to unpack, honest about what is missing."""

import json
import zipfile
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.jobs import storage
from apps.jobs.models import Blob
from tests.jobs.forms import accepted, body, field, files_of, part
from tests.jobs.runs import fail_next, read_next


def fetched(api: APIClient, url: str) -> bytes:
    answer = api.get(url)
    assert answer.status_code == 200
    assert answer.streaming
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment; filename")
    return body(answer)


def lines(api: APIClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    text = fetched(api, job["results_url"]).decode()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def bundle(api: APIClient, job: dict[str, Any]) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(BytesIO(fetched(api, f"{job['url']}/results.zip")))
    assert archive.testzip() is None
    return archive


def manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    return dict(json.loads(archive.read("manifest.json")))


@pytest.fixture
def mixed(alice_api: APIClient) -> dict[str, Any]:
    """A job with one file read, one failed, one rejected and one still waiting."""
    named = [part(name=f"{name}.txt") for name in ("read", "failed")]
    job = accepted(alice_api, *named, part(b"", "bad.txt"), part(name="waits.txt"))
    read_next("line one\nline two\u2028é")
    fail_next()
    return job


def test_ndjson_has_one_line_for_every_file(alice_api: APIClient, mixed: dict[str, Any]) -> None:
    found = lines(alice_api, mixed)
    assert [(each["position"], each["name"], each["state"]) for each in found] == [
        (1, "read.txt", "succeeded"),
        (2, "failed.txt", "failed"),
        (3, "bad.txt", "rejected"),
        (4, "waits.txt", "queued"),
    ]
    assert found[0]["result"]["text"] == "line one\nline two\u2028é"
    assert [each["result"] for each in found[1:]] == [None, None, None]
    assert found[1]["error"]["code"] == "test.failed"
    assert found[2]["error"]["code"] == "document.empty"
    assert [each["id"] for each in found] == [file["id"] for file in files_of(alice_api, mixed)]


def test_the_zip_of_a_running_job_is_partial_and_says_so(
    alice_api: APIClient, mixed: dict[str, Any]
) -> None:
    archive = bundle(alice_api, mixed)
    assert archive.namelist() == [
        "01-read.txt.txt",
        "01-read.txt.json",
        "errors.csv",
        "manifest.json",
    ]
    told = manifest(archive)
    assert (told["job"], told["state"], told["complete"]) == (mixed["id"], "running", False)
    states = [each["state"] for each in told["files"]]
    assert states == ["succeeded", "failed", "rejected", "queued"]
    assert [each["text"] for each in told["files"]] == ["01-read.txt.txt", None, None, None]
    read_next()
    archive = bundle(alice_api, mixed)
    assert manifest(archive)["complete"] is True
    assert len(archive.namelist()) == 6


def test_the_zip_holds_what_was_read(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(), field("name", "Mai/Juni: é"))
    read_next("Grüße\n")
    archive = bundle(alice_api, job)
    [entry] = manifest(archive)["files"]
    assert archive.read(entry["text"]).decode() == "Grüße\n"
    assert json.loads(archive.read(entry["json"]))["text"] == "Grüße\n"
    told = manifest(archive)
    assert (told["name"], told["state"]) == ("Mai/Juni: é", "succeeded")
    assert told["operation"] == "extract"
    assert told["expires_at"]


def test_a_job_that_ends_during_the_download_is_not_called_complete(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(), part(b"b", "b.txt"))
    read_next()
    chunks = iter(alice_api.get(f"{job['url']}/results.zip").streaming_content)
    first = next(chunks)
    read_next()
    archive = zipfile.ZipFile(BytesIO(first + b"".join(chunks)))
    told = manifest(archive)
    has_all = all(each["text"] for each in told["files"])
    assert told["complete"] == has_all


def test_names_in_the_zip_are_safe_everywhere_and_never_collide(alice_api: APIClient) -> None:
    names = ["a.txt", "A.txt", "a.txt", "con.txt", "a:b?.txt", 'q"<>|*.txt', "...x.txt", "x .txt"]
    names += ["n" * 196 + ".txt", "総括.txt", "01-a.txt", "manifest.json.txt"]
    job = accepted(alice_api, *(part(name=name.replace('"', '\\"')) for name in names))
    for _ in names:
        read_next()
    archive = bundle(alice_api, job)
    members = archive.namelist()
    assert len({name.lower() for name in members}) == len(members) == 2 * len(names) + 2
    for member in members:
        assert not set(member) & set('\\:*?"<>|\0')
        assert len(PurePosixPath(member).parts) == 1
        assert member[:2] != ".."
        assert not member.endswith((" ", "."))
        assert len(member.encode()) <= 255
    assert [each["name"] for each in manifest(archive)["files"]] == names


def test_empty_results_are_results(alice_api: APIClient) -> None:
    job = accepted(alice_api)
    read_next("")
    [line] = lines(alice_api, job)
    assert line["result"]["text"] == ""
    assert bundle(alice_api, job).read("01-a.txt.txt") == b""


@pytest.mark.parametrize("what", ["results.ndjson", "results.zip"])
def test_results_are_read_one_after_the_other_with_the_same_queries(
    alice_api: APIClient, what: str
) -> None:
    def queries(job: dict[str, Any]) -> int:
        with CaptureQueriesContext(connection) as seen:
            fetched(alice_api, f"{job['url']}/{what}")
        return len(seen)

    one = accepted(alice_api)
    many = accepted(alice_api, *(part(name=f"{n}.txt") for n in range(30)))
    for _ in range(31):
        read_next()
    alice_api.get("/api/batch/jobs")
    assert queries(one) == queries(many) <= 4


@pytest.mark.once
def test_storage_is_asked_once_for_each_file(
    alice_api: APIClient, mixed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket is far away."""
    asked: list[Blob] = []
    is_there = storage.is_there

    def counted(blob: Blob) -> bool:
        asked.append(blob)
        return is_there(blob)

    monkeypatch.setattr(storage, "is_there", counted)
    for ending in ("ndjson", "csv", "md", "xlsx", "zip"):
        asked.clear()
        fetched(alice_api, f"{mixed['url']}/results.{ending}")
        assert len(asked) == 1, ending
