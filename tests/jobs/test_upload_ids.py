"""Submissions of what was uploaded in parts: as other files, and once."""

import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models.functions import Now
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.jobs import storage
from apps.jobs.api import uploads
from apps.jobs.models import BatchFile, BatchJob, Blob, IdempotencyKey, UploadSession
from apps.jobs.services import submitting
from tests.batches import together
from tests.conftest import ApiFor
from tests.jobs.forms import accepted, body, field, files_of, part, post, refusal, stored
from tests.jobs.parts import add, begun, ids, uploaded

KEY = {"Idempotency-Key": "4b5c0f4e"}


@pytest.mark.django_db(transaction=True)
def test_they_are_submitted_beside_other_files_and_instead(
    alice_api: APIClient, data_dir: Path
) -> None:
    first, second = (
        uploaded(alice_api, b"first\n", "1.txt"),
        uploaded(alice_api, b"second\n", "2.txt"),
    )
    job = accepted(alice_api, ids(second, first), part(b"third\n", "3.txt"), field("name", "x"))
    files = files_of(alice_api, job)
    assert [file["name"] for file in files] == ["3.txt", "2.txt", "1.txt"]
    contents = [body(alice_api.get(file["content_url"])) for file in files]
    assert contents == [b"third\n", b"second\n", b"first\n"]
    assert accepted(alice_api, ids(uploaded(alice_api, b"alone\n")))["counts"]["total"] == 1
    assert not UploadSession.objects.exists()
    assert stored(data_dir / "uploads") == stored(data_dir / "incoming") == []
    assert len(stored(data_dir / "blobs")) == 4


def test_the_same_bytes_have_the_same_hash_in_parts_and_whole(alice_api: APIClient) -> None:
    content = os.urandom(20_000).hex().encode()
    job = accepted(alice_api, part(content, "1.txt"), ids(uploaded(alice_api, content, "2.txt")))
    one, two = BatchFile.objects.filter(job=job["id"]).order_by("position")
    assert (one.sha256, one.size_bytes, one.kind) == (two.sha256, two.size_bytes, two.kind)
    assert one.content == two.content


def test_what_is_wrong_with_one_is_told_as_with_other_files(
    alice_api: APIClient, settings: Settings
) -> None:
    made = [
        uploaded(alice_api, b"", "empty.txt"),
        uploaded(alice_api, b"MZ", "a.exe"),
        uploaded(alice_api, b"no pdf", "b.pdf"),
        uploaded(alice_api, b"x" * 3000, "large.txt"),
        uploaded(alice_api, b"good"),
    ]
    settings.BATCH_MAX_FILE_BYTES = 2000
    answer = post(alice_api, ids(*made[:4]))
    refusal(answer, 422, "batch.all_rejected")
    assert UploadSession.objects.count() == 5
    job = accepted(alice_api, ids(*made))
    assert [each["code"] for each in job["rejected"]] == [
        "document.empty",
        "document.unsupported",
        "document.mislabelled",
        "document.too_large",
    ]
    assert not UploadSession.objects.exists()


def test_those_that_are_not_there_are_named(
    alice_api: APIClient, charlie_api: APIClient, data_dir: Path
) -> None:
    mine, others = uploaded(alice_api, b"mine"), uploaded(charlie_api, b"others")
    nothing = str(uuid4())
    expired = uploaded(alice_api, b"old")
    UploadSession.objects.filter(pk=expired).update(expires_at=Now() - timedelta(seconds=1))
    problem = refusal(
        post(alice_api, part(), ids(mine, others, nothing, expired)), 409, "upload.gone"
    )
    told = " ".join(each["detail"] for each in problem["errors"])
    assert [each in told for each in (mine, others, nothing, expired)] == [False, True, True, True]
    assert not BatchJob.objects.exists()
    assert not Blob.objects.exists()
    assert stored(data_dir / "incoming") == []
    accepted(alice_api, ids(mine))
    accepted(charlie_api, ids(others))


def test_one_that_is_not_complete_stays_and_goes_on(alice_api: APIClient) -> None:
    path = begun(alice_api, 10)
    add(alice_api, path, 0, b"01234")
    upload = path.rpartition("/")[2]
    problem = refusal(post(alice_api, ids(upload), part()), 409, "upload.unfinished")
    assert problem["errors"][0]["detail"] == f"{upload}: 5 of 10 bytes are stored."
    assert not BatchJob.objects.exists()
    add(alice_api, path, 5, b"56789")
    accepted(alice_api, ids(upload))


@pytest.mark.parametrize("given", ["x", "{}, 5", "1b671a64-40d5-491e-99b0"])
def test_ids_are_ids(alice_api: APIClient, given: str) -> None:
    answer = post(alice_api, part(), field("upload_ids", given))
    assert refusal(answer, 400, "request.invalid")["errors"][0]["field"] == "upload_ids"


def test_none_is_taken_twice_in_one_job(alice_api: APIClient) -> None:
    upload = uploaded(alice_api, b"text")
    refusal(post(alice_api, ids(upload, upload)), 400, "request.invalid")
    assert UploadSession.objects.count() == 1


def test_they_count_as_files_of_the_batch(alice_api: APIClient, settings: Settings) -> None:
    settings.BATCH_MAX_FILES = 2
    made = [uploaded(alice_api, b"%d" % number) for number in range(2)]
    refusal(post(alice_api, part(), ids(*made)), 413, "batch.too_many_files")
    assert UploadSession.objects.count() == 2
    accepted(alice_api, ids(*made))


def test_bytes_that_were_lost_are_told(alice_api: APIClient, data_dir: Path) -> None:
    upload = uploaded(alice_api, b"text")
    for name in stored(data_dir / "uploads"):
        (data_dir / "uploads" / name).unlink()
    refusal(post(alice_api, part(), ids(upload)), 409, "upload.gone")
    assert not BatchJob.objects.exists()


def test_where_a_file_has_one_name_only_it_is_copied(
    alice_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    upload = uploaded(alice_api, b"text")
    monkeypatch.setattr(os, "link", link)
    [file] = files_of(alice_api, accepted(alice_api, ids(upload)))
    assert body(alice_api.get(file["content_url"])) == b"text"


# --- once -----------------------------------------------------------------------------------------


def test_sent_again_with_its_key_it_is_the_same_job(alice_api: APIClient) -> None:
    form = (part(b"more", "b.txt"), ids(uploaded(alice_api, b"text")))
    first = post(alice_api, *form, **KEY)
    assert (first.status_code, "Idempotency-Replayed" in first) == (202, False)
    again = post(alice_api, *form, **KEY)
    assert (again.status_code, again["Idempotency-Replayed"]) == (202, "true")
    assert again.json() == first.json()
    assert BatchJob.objects.count() == 1
    other = (part(b"more", "b.txt"), ids(uploaded(alice_api, b"text")))
    refusal(post(alice_api, *other, **KEY), 422, "idempotency.mismatch")
    refusal(post(alice_api, *form), 409, "upload.gone")
    assert UploadSession.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_fifty_submissions_at_once_take_it_once(
    alice: User, api_for: ApiFor, data_dir: Path
) -> None:
    api = api_for(alice)
    made = [uploaded(api, b"first"), uploaded(api, b"second")]
    orders = [ids(*made), ids(*reversed(made))] * 25
    apis = [api_for(alice) for _ in orders]
    answers = together([partial(post, each, form) for each, form in zip(apis, orders, strict=True)])
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [202] + [409] * 49
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"upload.gone"}
    assert (BatchJob.objects.count(), BatchFile.objects.count()) == (1, 2)
    assert stored(data_dir / "uploads") == []
    assert len(stored(data_dir)) == 2


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_with_one_key_all_get_its_job(
    alice: User, api_for: ApiFor, data_dir: Path
) -> None:
    form = ids(uploaded(api_for(alice), b"text"))
    apis = [api_for(alice) for _ in range(10)]
    answers = together([partial(post, api, form, **KEY) for api in apis])
    assert [answer.status_code for answer in answers] == [202] * 10
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert BatchJob.objects.count() == IdempotencyKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_comes_to_nothing_leaves_them_as_they_were(
    alice_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes were in place already."""
    upload = uploaded(alice_api, b"text")

    def fail(*_: Any) -> None:
        assert transaction.get_connection().in_atomic_block
        raise OSError("as if the disk were full")

    with monkeypatch.context() as patch:
        patch.setattr(submitting, "close_if_done", fail)
        refusal(post(alice_api, ids(upload)), 503, "storage.full")
    assert not BatchJob.objects.exists()
    storage.remove_orphans()
    job = accepted(alice_api, ids(upload))
    [file] = files_of(alice_api, job)
    assert body(alice_api.get(file["content_url"])) == b"text"


# --- limits ---------------------------------------------------------------------------------------


def used(api: APIClient, name: str) -> int:
    limits = api.get("/api/rate-limits").json()["limits"]
    [windows] = [each["windows"] for each in limits if each["limiter"] == name]
    return int(windows[-1]["used"])


def test_parts_cost_no_batch_and_large_ones_no_request(
    alice_api: APIClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIMIT_API = "100/h"
    monkeypatch.setattr(uploads, "FREE_BYTES", free := 1000)
    path = begun(alice_api, 2 * free + 10)
    add(alice_api, path, 0, b"x" * free)
    add(alice_api, path, free, b"x" * free)
    assert used(alice_api, "api") == 1
    add(alice_api, path, 2 * free, b"x" * 9)  # a small one
    add(alice_api, path, 0, b"")  # not where it goes on
    assert used(alice_api, "api") == 3
    add(alice_api, path, 2 * free + 9, b"x")  # the last
    assert used(alice_api, "api") == 3
    assert used(alice_api, "batch-upload") == 0
    accepted(alice_api, ids(path.rpartition("/")[2]))
    assert used(alice_api, "batch-upload") == 1
