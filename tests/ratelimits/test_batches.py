"""`batch-upload` counts jobs that were accepted, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchJob
from tests.jobs.forms import accepted, field, part, post, refusal
from tests.web.uploading import Browser, assert_refused

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three(tmp_path: Path, settings: Any) -> None:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    settings.LIMIT_BATCH_UPLOAD = "3/h"


def used(api: APIClient, name: str = "batch-upload") -> int:
    limits = api.get("/api/rate-limits").json()["limits"]
    [windows] = [each["windows"] for each in limits if each["limiter"] == name]
    return int(windows[0]["used"])


def test_the_fourth_batch_is_refused_before_it_is_read(alice_api: APIClient) -> None:
    for left in (2, 1, 0):
        answer = post(alice_api, part())
        assert answer.status_code == 202
        assert answer["X-RateLimit-Remaining"] == str(left)
    answer = post(alice_api, part())
    problem = refusal(answer, 429, "request.throttled")
    assert (problem["limiter"], problem["limit"]) == ("batch-upload", 3)
    assert 3590 < problem["retry_after"] <= 3600
    assert "60 minutes" in problem["detail"]
    assert BatchJob.objects.count() == 3


def test_refused_submissions_cost_nothing(alice_api: APIClient) -> None:
    refused = [
        post(alice_api),
        post(alice_api, part(b"MZ", "a.exe")),
        post(alice_api, part(), field("operation", "dance")),
        post(alice_api, part(), field("options", "{")),
        alice_api.post("/api/batch/upload", {}, format="json"),
        post(alice_api, part(), **{"Idempotency-Key": ""}),
    ]
    assert [each.status_code for each in refused] == [400, 422, 400, 400, 415, 400]
    assert used(alice_api) == 0
    accepted(alice_api)
    assert used(alice_api) == 1


def test_readers_cost_nothing(bob_api: APIClient) -> None:
    assert post(bob_api, part()).status_code == 403
    assert used(bob_api) == 0


def test_replays_cost_nothing_and_are_answered_past_the_limit(alice_api: APIClient) -> None:
    key = {"Idempotency-Key": "monday"}
    body = part(b"the same words")
    first = accepted(alice_api, body, **key)
    assert accepted(alice_api, body, **key)["id"] == first["id"]
    assert used(alice_api) == 1
    accepted(alice_api)
    accepted(alice_api)
    assert post(alice_api, part()).status_code == 429
    assert accepted(alice_api, body, **key)["id"] == first["id"]
    assert post(alice_api, part(b"other words"), **key).status_code == 422
    assert used(alice_api) == 3


def test_retries_cost_nothing(alice_api: APIClient) -> None:
    job = accepted(alice_api)
    alice_api.post(f"/api/batch/jobs/{job['id']}/cancel")
    assert alice_api.post(f"/api/batch/jobs/{job['id']}/retry").status_code == 200
    assert used(alice_api) == 1


def test_ocr_counts_batches_that_ask_for_it(settings: Any, alice_api: APIClient) -> None:
    settings.LIMIT_OCR = "1/h"
    settings.LIMIT_BATCH_UPLOAD = "9/h"
    picture = part((Path(settings.BASE_DIR) / "tests/data/survey.png").read_bytes(), "survey.png")
    accepted(alice_api, picture, field("operation", "ocr"))
    accepted(alice_api)
    answer = post(alice_api, picture, field("operation", "ocr"))
    assert refusal(answer, 429, "request.throttled")["limiter"] == "ocr"
    assert (used(alice_api, "ocr"), used(alice_api)) == (1, 2)
    assert BatchJob.objects.count() == 2


def test_the_page_counts_the_same(alice: User, acme: Organization) -> None:
    browser = Browser(alice, acme)
    for _ in range(3):
        browser.open()
        assert browser.send(part()).status_code == 303
    again = browser.send(part(b"text other"))  # the page's key is used up: no batch
    assert again.status_code == 422
    browser.open()
    answer = browser.send(part())
    assert_refused(answer, 429, "batch-upload", "Try again in 60 minutes")
    assert answer["X-RateLimit-Limit"] == "3"
    assert int(answer["Retry-After"]) > 3590
    assert BatchJob.objects.count() == 3
