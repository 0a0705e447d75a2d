"""From a submission to its results, through the real engine and its isolated readers."""

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.queue.loop import work_once
from tests.batches import check_books, check_nothing_runs
from tests.jobs.forms import SAMPLES, accepted, body, field, files_of, part

pytestmark = pytest.mark.django_db(transaction=True)


def sample(name: str) -> bytes:
    return part((SAMPLES / name).read_bytes(), name)


def read(api: APIClient, job: dict[str, Any]) -> dict[str, Any]:
    return dict(api.get(job["url"]).json())


def test_a_mixed_batch_ends_partial_and_everything_that_can_be_read_is(
    alice_api: APIClient,
) -> None:
    names = ("harbour-log.pdf", "recipe.docx", "tides-cp1252.csv", "locked.pdf", "damaged.pdf")
    job = accepted(alice_api, *map(sample, names), part(b"PK\x03\x04", "not-a.pdf"))
    assert work_once(["default", "heavy"]) == 5
    check_books()
    check_nothing_runs()
    done = read(alice_api, job)
    assert (done["state"], done["progress"]) == ("partial", 1.0)
    files = {file["name"]: file for file in files_of(alice_api, job)}
    assert [files[name]["state"] for name in names[:3]] == ["succeeded"] * 3
    locked = files["locked.pdf"]
    assert (locked["state"], locked["error"]["class"]) == ("failed", "permanent")
    assert locked["attempts"] == 1, "trying again cannot help"
    assert files["not-a.pdf"]["state"] == "rejected"
    for name in names[:3]:
        text = body(alice_api.get(files[name]["text_url"])).decode()
        extraction = json.loads(body(alice_api.get(files[name]["result_url"])))
        assert extraction["text"] == text
        assert files[name]["result"]["words"] == sum(
            len(page["text"].split()) for page in extraction["pages"]
        )
        assert files[name]["result"]["words"] > 5
    lines = body(alice_api.get(job["results_url"])).decode().split("\n")[:-1]
    assert [json.loads(line)["name"] for line in lines] == [*names, "not-a.pdf"]
    archive = zipfile.ZipFile(BytesIO(body(alice_api.get(f"{job['url']}/results.zip"))))
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["complete"]
    assert [entry["text"] is not None for entry in manifest["files"]] == [
        files[entry["name"]]["result"] is not None for entry in manifest["files"]
    ]


@pytest.mark.once
@pytest.mark.parametrize("name", ["survey.png", "harbour-log.pdf"])
def test_ocr_is_forced_on_scans_and_texts_and_the_options_reach_the_reader(
    alice_api: APIClient, name: str
) -> None:
    options = json.dumps({"languages": ["eng"], "pages": "1"})
    job = accepted(alice_api, sample(name), field("operation", "ocr"), field("options", options))
    assert work_once(["default"]) == 0, "OCR has a lane of its own"
    assert work_once(["ocr"]) == 1
    [file] = files_of(alice_api, job)
    assert (file["state"], read(alice_api, job)["state"]) == ("succeeded", "succeeded")
    extraction = json.loads(body(alice_api.get(file["result_url"])))
    assert all(page["ocr"] for page in extraction["pages"])
    assert file["result"]["words"] > 5


def test_a_job_is_cancelled_retried_and_deleted(alice_api: APIClient) -> None:
    job = accepted(alice_api, sample("knots.txt"), sample("notice.html"))
    assert alice_api.post(f"{job['url']}/cancel").json()["state"] == "cancelled"
    assert work_once(["default"]) == 0
    assert alice_api.post(f"{job['url']}/retry").json()["run"] == 2
    assert work_once(["default"]) == 2
    assert read(alice_api, job)["state"] == "succeeded"
    check_books()
    assert alice_api.delete(job["url"]).status_code == 204
    assert alice_api.get("/api/batch/jobs").json()["results"] == []
