"""Found files through the API: where they came from, who sees them, and at what cost."""

import io
import json
import uuid
import zipfile

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile
from tests.jobs.containers import open_next, submit_files, zip_of
from tests.jobs.forms import body
from tests.jobs.runs import read_next

TWO = {"a.txt": b"first", "deep/b.txt": b"second"}


@pytest.fixture
def container(acme: Organization) -> BatchFile:
    submit_files(acme, {"all.zip": zip_of("one"), "z.txt": b"beside"})
    container = open_next(TWO)
    for _ in range(3):
        read_next()
    return container


def test_each_tells_what_it_was_in_and_a_container_how_many(
    alice_api: APIClient, container: BatchFile
) -> None:
    url = f"/api/batch/jobs/{container.job_id}/files"
    files = alice_api.get(url).json()["results"]
    parent = str(container.pk)
    assert [(f["name"], f["parent_id"], f["members"]) for f in files] == [
        ("all.zip", None, 2),
        ("z.txt", None, None),
        ("a.txt", parent, None),
        ("deep/b.txt", parent, None),
    ]
    found = alice_api.get(url, {"parent": parent}).json()["results"]
    assert [f["name"] for f in found] == ["a.txt", "deep/b.txt"]
    assert alice_api.get(url, {"parent": str(uuid.uuid4())}).json()["results"] == []
    refused = alice_api.get(url, {"parent": "all.zip"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "parent")
    one = alice_api.get(f"/api/batch/files/{parent}").json()
    assert (one["members"], one["parent_id"]) == (2, None)


def test_their_bytes_are_named_without_the_folder(
    alice_api: APIClient, container: BatchFile
) -> None:
    found = BatchFile.objects.get(name="deep/b.txt")
    answer = alice_api.get(f"/api/batch/files/{found.pk}/content")
    assert body(answer) == b"second"
    assert answer["Content-Disposition"] == 'attachment; filename="b.txt"'


def test_results_have_them_side_by_side(alice_api: APIClient, container: BatchFile) -> None:
    url = f"/api/batch/jobs/{container.job_id}"
    lines = [json.loads(line) for line in body(alice_api.get(f"{url}/results.ndjson")).splitlines()]
    parent = str(container.pk)
    assert [line["parent_id"] for line in lines] == [None, None, parent, parent]
    bundle = zipfile.ZipFile(io.BytesIO(body(alice_api.get(f"{url}/results.zip"))))
    assert "04-deep_b.txt.txt" in bundle.namelist()
    manifest = json.loads(bundle.read("manifest.json"))
    assert [file["parent_id"] for file in manifest["files"]] == [None, None, parent, parent]


def test_names_in_the_zip_stay_in_order_past_99(alice_api: APIClient, acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next({f"{number}.txt": b"text" for number in range(99)})
    read_next()
    bundle = zipfile.ZipFile(
        io.BytesIO(body(alice_api.get(f"/api/batch/jobs/{job.pk}/results.zip")))
    )
    assert bundle.namelist()[:4:2] == ["001-all.zip.txt", "002-0.txt.txt"]


def test_nobody_else_sees_them(
    charlie_api: APIClient, other: Organization, container: BatchFile
) -> None:
    job = submit_files(other, {"mine.txt": b"text"})
    found = BatchFile.objects.get(name="a.txt")
    assert found.organization_id == container.organization_id
    for address in ("", "/text", "/result", "/content"):
        assert charlie_api.get(f"/api/batch/files/{found.pk}{address}").status_code == 404
    listed = charlie_api.get(f"/api/batch/jobs/{job.pk}/files", {"parent": str(container.pk)})
    assert listed.json()["results"] == []
    own = f"/api/batch/jobs/{container.job_id}/files"
    assert charlie_api.get(own, {"parent": str(container.pk)}).status_code == 404


def queries_of(api: APIClient, url: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert api.get(url).status_code == 200
    return len([q for q in seen if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))])


def test_the_number_of_queries_does_not_grow_with_containers(
    alice: User, alice_api: APIClient, acme: Organization
) -> None:
    few = submit_files(acme, {"1.zip": zip_of("one")})
    many = submit_files(acme, {f"{number}.zip": zip_of("one") for number in range(12)})
    for number in range(13):
        open_next({"a.txt": b"first in %d" % number, "b.txt": b"second in %d" % number})
    alice_api.get("/api/batch/jobs")  # notes when the key was used
    counts = {
        path: [queries_of(alice_api, f"/api/batch/jobs/{job.pk}{path}") for job in (few, many)]
        for path in ("/files?limit=100", "/results.ndjson", "")
    }
    assert all(few == many for few, many in counts.values()), counts
