"""Reading one job and one file: every field, text, extraction, and the bytes as they came."""

import json
import uuid
from typing import Any

import pytest
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.advice import DEFAULT
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.queue.retry import FailureClass
from apps.queue.settle import take_back
from tests.batches import claimed, submit
from tests.jobs.forms import accepted, body, field, files_of, part
from tests.jobs.runs import fail_next, read_next

# What clients rely on: fields may be added, these stay.
JOB_FIELDS = """
    id name operation priority state counts progress eta_seconds queue_position revision
    created_at started_at finished_at expires_at url files_url results_url
"""
FILE_FIELDS = """
    id job_id name size_bytes sha256 content_type state stage progress attempts error duplicate_of
    result text_url result_url content_url created_at started_at finished_at
"""


def fields(text: str) -> set[str]:
    return set(text.split())


def read(api: APIClient, url: str) -> dict[str, Any]:
    answer = api.get(url)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def detail(api: APIClient, file: BatchFile) -> dict[str, Any]:
    return read(api, f"/api/batch/files/{file.pk}")


def test_a_job_from_its_submission_to_its_end(alice_api: APIClient) -> None:
    files = (part(), part(b"", "bad.txt"), part(b"b", "b.txt"))
    made = accepted(alice_api, *files, field("name", "x"))
    job = read(alice_api, made["url"])
    assert set(job) >= fields(JOB_FIELDS)
    assert set(made) - {"rejected"} == set(job)
    assert {name: made[name] for name in job} == job
    assert (job["name"], job["operation"], job["priority"]) == ("x", "extract", "normal")
    assert (job["state"], job["queue_position"], job["eta_seconds"]) == ("queued", 0, None)
    assert (job["started_at"], job["finished_at"]) == (None, None)
    counts = {"total": 3, "queued": 2, "running": 0, "retry_wait": 0, "rejected": 1}
    assert job["counts"] == counts | dict.fromkeys(
        ("succeeded", "failed", "quarantined", "cancelled", "duplicate"), 0
    )
    read_next()
    half = read(alice_api, made["url"])
    assert (half["state"], half["counts"]["succeeded"]) == ("running", 1)
    assert half["progress"] == pytest.approx(2 / 3, abs=1e-3)
    assert half["eta_seconds"] >= 0
    assert half["revision"] > job["revision"]
    fail_next()
    done = read(alice_api, made["url"])
    assert (done["state"], done["progress"], done["queue_position"]) == ("partial", 1.0, None)
    assert (done["counts"]["succeeded"], done["counts"]["failed"]) == (1, 1)
    moments = [done[name] for name in ("created_at", "started_at", "finished_at", "expires_at")]
    assert moments == sorted(moments, key=lambda text: parse_datetime(text) or 0)


def test_queue_position_counts_the_files_that_stand_before(
    alice_api: APIClient, acme: Organization
) -> None:
    submit(acme, "one", "two")
    job = submit(acme, "three")
    url = f"/api/batch/jobs/{job.pk}"
    assert read(alice_api, url)["queue_position"] == 2
    read_next()
    assert read(alice_api, url)["queue_position"] == 1


def test_a_file_from_its_submission_to_its_end(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(b"text", "a.txt"))
    [file] = files_of(alice_api, job)
    assert set(file) >= fields(FILE_FIELDS)
    assert (file["job_id"], file["size_bytes"]) == (job["id"], 4)
    assert file["content_type"] == "text/plain"
    assert (file["state"], file["progress"], file["attempts"]) == ("queued", 0, 0)
    for name in fields("error duplicate_of result text_url result_url started_at finished_at"):
        assert file[name] is None, name
    row = read_next("one two three")
    done = detail(alice_api, row)
    assert set(done) >= fields(FILE_FIELDS) | {"attempts_made"}
    assert (done["state"], done["progress"], done["attempts"]) == ("succeeded", 1.0, 1)
    assert done["result"] == {
        "pages": 1,
        "words": 3,
        "language": "",
        "quality": "full",
        "engine": "script",
        "metadata": {},
        "warnings": [],
    }
    [attempt] = done["attempts_made"]
    assert (attempt["number"], attempt["run"], attempt["outcome"]) == (1, 1, "succeeded")
    assert alice_api.get(done["text_url"]).content == b"one two three"
    extraction = json.loads(body(alice_api.get(done["result_url"])))
    assert extraction["text"] == "one two three"
    assert [page["text"] for page in extraction["pages"]] == ["one two three"]


def test_a_failed_file_says_why_in_three_words(alice_api: APIClient) -> None:
    accepted(alice_api)
    file = detail(alice_api, fail_next())
    assert file["error"] == {
        "code": "test.failed",
        "class": "permanent",
        "detail": "It failed.",
        "advice": DEFAULT,
    }
    assert (file["result"], file["text_url"]) == (None, None)
    [attempt] = file["attempts_made"]
    assert (attempt["outcome"], attempt["failure_class"]) == ("failed", "permanent")


def test_a_file_that_waits_to_be_tried_again_says_so(alice_api: APIClient) -> None:
    job = accepted(alice_api)
    file = detail(alice_api, fail_next(FailureClass.TRANSIENT))
    assert (file["state"], file["error"]["class"]) == ("retry_wait", "transient")
    assert read(alice_api, job["url"])["counts"]["retry_wait"] == 1


def test_what_was_saved_of_a_failure_can_be_read(alice_api: APIClient) -> None:
    accepted(alice_api)
    file = detail(alice_api, fail_next(partial="page one"))
    assert file["state"] == "failed"
    assert alice_api.get(file["text_url"]).content == b"page one"


@pytest.mark.parametrize("state", ["queued", "running", "failed", "cancelled", "rejected"])
@pytest.mark.parametrize("what", ["text", "result"])
def test_without_a_result_there_is_a_conflict(alice_api: APIClient, state: str, what: str) -> None:
    job = accepted(alice_api, part(), part(b"", "bad.txt"))
    if state == "running":
        claimed()
    elif state == "failed":
        fail_next()
    elif state == "cancelled":
        alice_api.post(f"{job['url']}/cancel")
    file = BatchFile.objects.get(state=state)
    answer = alice_api.get(f"/api/batch/files/{file.pk}/{what}")
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], state in problem["detail"]) == ("file.no_result", True)


@pytest.mark.parametrize("accept", ["text/plain", "application/pdf", "image/*", "text/html", "*/*"])
def test_downloads_come_whatever_the_client_says_it_accepts(
    alice_api: APIClient, accept: str
) -> None:
    job = accepted(alice_api)
    read_next()
    [file] = files_of(alice_api, job)
    urls = [file[name] for name in ("text_url", "result_url", "content_url")]
    zip_url = f"{job['url']}/results.zip"
    for url in (*urls, job["results_url"], zip_url):
        answer = alice_api.get(url, headers={"Accept": accept})
        assert answer.status_code == 200, url
        assert body(answer)


HOSTILE_NAMES = {
    "quotes": (rb"a\"b\".txt", 'attachment; filename="a\\"b\\".txt"'),
    "unicode": ("総括.txt".encode(), "attachment; filename*=utf-8''%E7%B7%8F%E6%8B%AC.txt"),
    "a semicolon": (b"a;filename=b.txt", 'attachment; filename="a;filename=b.txt"'),
    "percent": (b"%0d%0aX: y.txt", 'attachment; filename="%0d%0aX: y.txt"'),
}


@pytest.mark.parametrize("kind", HOSTILE_NAMES)
def test_content_leaves_as_an_attachment_that_no_browser_runs(
    alice_api: APIClient, kind: str
) -> None:
    raw, disposition = HOSTILE_NAMES[kind]
    job = accepted(alice_api, part(b"<script>alert(1)</script>", raw))
    [file] = files_of(alice_api, job)
    answer = alice_api.get(file["content_url"])
    assert body(answer) == b"<script>alert(1)</script>"
    assert answer["Content-Disposition"] == disposition
    assert answer["Content-Type"] == "text/plain"
    assert answer["Content-Length"] == "25"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox;")


def test_html_is_kept_from_running_wherever_it_leaves(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(b"<html><script>alert(1)</script></html>", "a.html"))
    read_next("<script>alert(1)</script>")
    [file] = files_of(alice_api, job)
    for name in ("text_url", "result_url", "content_url"):
        answer = alice_api.get(file[name])
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert body(answer)
        if name == "content_url":
            assert answer["Content-Disposition"].startswith("attachment")
        else:
            assert "html" not in answer["Content-Type"]


def test_the_bytes_of_a_rejected_file_were_not_kept(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(), part(b"", "bad.txt"))
    bad = files_of(alice_api, job)[1]
    answer = alice_api.get(f"/api/batch/files/{bad['id']}/content")
    assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found")


@pytest.mark.parametrize("what", ["text", "result", "content"])
@pytest.mark.parametrize("left", [None, 5])
def test_bytes_that_were_lost_from_the_disk_are_told(
    alice_api: APIClient, what: str, left: int | None
) -> None:
    """All of them, or those behind the fifth: half of a document does not pass for all of it."""
    accepted(alice_api)
    file = read_next()
    for blob in (file.content, file.result.content):
        path = storage.path_of(blob)
        if left is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:left])
    answer = alice_api.get(f"/api/batch/files/{file.pk}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found")
    assert answer.json()["detail"] == "The bytes of this file are not in storage any more."


def test_a_lost_run_is_told_and_the_file_goes_on(alice_api: APIClient) -> None:
    accepted(alice_api)
    file = claimed()
    BatchFile.objects.filter(pk=file.pk).update(lease_expires_at="2026-01-01T00:00:00Z")
    assert take_back(BatchFileHandler, file.pk)
    shown = detail(alice_api, file)
    assert (shown["state"], shown["error"]["class"]) == ("queued", "lost")
    read_next()
    assert detail(alice_api, file)["error"] is None


def test_what_is_not_there_is_not_found(alice_api: APIClient) -> None:
    nobody = uuid.uuid4()
    for path in (f"jobs/{nobody}", f"files/{nobody}", "jobs/x", f"jobs/{nobody}/x"):
        answer = alice_api.get(f"/api/batch/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found"), path


def test_unknown_parameters_are_refused_on_every_path(alice_api: APIClient) -> None:
    job = accepted(alice_api)
    read_next()
    [file] = files_of(alice_api, job)
    urls = [file["text_url"], file["result_url"], file["content_url"], job["url"]]
    urls += [job["files_url"], job["results_url"], f"{job['url']}/results.zip"]
    for url in (*urls, f"/api/batch/files/{file['id']}"):
        answer = alice_api.get(f"{url}?colour=blue")
        assert answer.status_code == 400, url
        assert answer.json()["errors"][0]["field"] == "colour"
