"""Exports that are built: fetched in parts, gone in time, and whole whatever breaks meanwhile."""

import resource
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.jobs import cleanup, storage
from apps.jobs.models import BatchFile, BatchJob, Blob, Export
from apps.jobs.services import delete_job, exporting
from apps.queue import worker
from apps.queue.claim import claim
from apps.queue.handlers import Control, RunFailed, RunStopped
from apps.queue.models import Pause, WorkAttempt, WorkItem
from apps.queue.states import State
from apps.queue.work_items import WorkItemHandler
from tests.batches import SOMEBODY, owner_of
from tests.conftest import ClientFor
from tests.jobs.ageing import run
from tests.jobs.exporting import GOES_ON, ask, asked, build_next, built, ended_job
from tests.jobs.forms import body, refusal

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice_api: APIClient) -> dict[str, Any]:
    return ended_job(alice_api)


# --- how many there are -------------------------------------------------------------------------


def test_an_organization_has_no_more_than_so_many_bytes(
    alice_api: APIClient, job: dict[str, Any], settings: Settings
) -> None:
    kept = built(alice_api, job["id"])
    settings.EXPORT_MAX_BYTES = kept["size_bytes"]
    refusal(ask(alice_api, job["id"], made="md"), 409, "export.too_many")
    assert Export.objects.count() == WorkItem.objects.count() == 1
    assert ask(alice_api, job["id"]).json()["id"] == kept["id"]
    alice_api.delete(kept["url"])
    settings.EXPORT_MAX_BYTES = 10_000
    asked(alice_api, job["id"], made="md")


def test_so_many_are_to_be_built_and_no_more(
    alice_api: APIClient,
    alice: User,
    client_for: ClientFor,
    job: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "MAX_UNFINISHED", 1)
    first = asked(alice_api, job["id"])
    page = client_for(alice)
    for path in ("/exports", f"/jobs/{job['id']}/exports"):
        answer = page.post(path, {"format": "md", "jobs": [job["id"]]}, follow=True)
        assert "Wait, or stop some." in answer.content.decode()
    assert asked(alice_api, job["id"])["id"] == first["id"]
    build_next()
    asked(alice_api, job["id"], made="md")


# --- fetched ------------------------------------------------------------------------------------


def test_a_part_can_be_fetched(alice_api: APIClient, job: dict[str, Any]) -> None:
    export = built(alice_api, job["id"])
    url, size = export["content_url"], export["size_bytes"]
    first = alice_api.get(url)
    whole, etag = body(first), first["ETag"]
    assert (first["Accept-Ranges"], first["Content-Length"]) == ("bytes", str(size))
    answer = alice_api.get(url, headers={"Range": "bytes=10-"})
    assert (answer.status_code, body(answer)) == (206, whole[10:])
    assert answer["Content-Range"] == f"bytes 10-{size - 1}/{size}"
    assert answer["Content-Length"] == str(size - 10)
    for header, expected in {"bytes=0-0": whole[:1], "bytes=-5": whole[-5:]}.items():
        assert body(alice_api.get(url, headers={"Range": header})) == expected
    behind = alice_api.get(url, headers={"Range": f"bytes={size}-"})
    assert (behind.status_code, behind["Content-Range"]) == (416, f"bytes */{size}")
    several = alice_api.get(url, headers={"Range": "bytes=0-1,3-4"})
    assert (several.status_code, body(several)) == (200, whole)
    fits = alice_api.get(url, headers={"Range": "bytes=1-2", "If-Range": etag})
    assert body(fits) == whole[1:3]
    for condition in ('"other"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        all_of_it = alice_api.get(url, headers={"Range": "bytes=1-2", "If-Range": condition})
        assert (all_of_it.status_code, body(all_of_it)) == (200, whole)
    same = alice_api.get(url, headers={"If-None-Match": etag, "Range": "bytes=1-2"})
    assert (same.status_code, body(same)) == (304, b"")
    for name in ("Content-Security-Policy", "X-Expires-At", "X-Results-Complete", "ETag"):
        assert same[name] == first[name]
    other = alice_api.get(url, headers={"If-Match": '"other"'})
    assert other.status_code == 412


def test_before_it_is_ready_and_after_its_time_there_is_nothing_to_fetch(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    export = asked(alice_api, job["id"])
    url = f"{export['url']}/content"
    refusal(alice_api.get(url), 409, "export.not_ready")
    build_next()
    answer = alice_api.get(url)
    assert answer["X-Expires-At"] == Export.objects.get().expires_at.isoformat()
    assert body(answer)
    Export.objects.update(expires_at=Now() - timedelta(seconds=1))
    refusal(alice_api.get(url), 410, "export.expired")
    # What is asked for now is a new one; the direct download is not served from the old.
    assert alice_api.get(f"{job['url']}/results.zip")["ETag"].startswith("W/")
    assert asked(alice_api, job["id"])["id"] != export["id"]
    assert cleanup.remove_old_exports() == 1
    refusal(alice_api.get(url), 404, "request.not_found")


def test_bytes_that_are_lost_are_told_and_built_again(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    export = built(alice_api, job["id"])
    storage.path_of(Blob.objects.get(exports__id=export["id"])).unlink()
    refusal(alice_api.get(export["content_url"]), 404, "request.not_found")
    assert asked(alice_api, job["id"])["id"] != export["id"]
    build_next()
    assert body(alice_api.get(f"{job['url']}/results.zip"))


def test_it_is_kept_a_week_and_no_longer_than_its_jobs(
    alice_api: APIClient, job: dict[str, Any], settings: Settings
) -> None:
    row = BatchJob.objects.get()
    week = timedelta(days=settings.EXPORT_RETENTION_DAYS)
    built(alice_api, job["id"])
    export = Export.objects.get()
    assert abs(export.expires_at - export.created_at - week) < timedelta(seconds=5)
    soon = row.finished_at + timedelta(days=1)
    BatchJob.objects.update(expires_at=soon)
    asked(alice_api, job["id"])
    assert Export.objects.latest("created_at").expires_at == soon


# --- gone ---------------------------------------------------------------------------------------


def exported_bytes(data_dir: Path) -> set[Path]:
    used = {storage.path_of(blob) for blob in Blob.objects.exclude(exports=None)}
    return {path for path in data_dir.glob("blobs/*/*/*") if path in used}


@pytest.mark.django_db(transaction=True)
def test_it_goes_with_its_job_bytes_and_all(
    alice_api: APIClient, job: dict[str, Any], acme: Organization, data_dir: Path
) -> None:
    built(alice_api, job["id"])
    waits = asked(alice_api, job["id"], made="csv")
    assert len(exported_bytes(data_dir)) == 1
    delete_job(actor=owner_of(acme), job=BatchJob.objects.get())
    assert not Export.objects.exists()
    assert not Blob.objects.exists()
    assert not list(data_dir.glob("blobs/*/*/*"))
    assert WorkItem.objects.exclude(state="succeeded").get().state == State.CANCELLED
    refusal(alice_api.get(waits["url"]), 404, "request.not_found")


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_deleted_while_it_is_exported_leaves_nothing(
    alice_api: APIClient, job: dict[str, Any], acme: Organization, data_dir: Path
) -> None:
    asked(alice_api, job["id"])
    found = claim("export", SOMEBODY)
    assert found

    def delete(_stage: str, _done: float) -> None:
        if BatchJob.objects.exists():
            delete_job(actor=owner_of(acme), job=BatchJob.objects.get())

    with pytest.raises((RunFailed, OSError)):
        WorkItemHandler().run(found[1], Control(delete, lambda: False))
    assert WorkItem.objects.get().cancel_requested
    assert not Export.objects.exists()
    storage.remove_orphans()
    assert not list(data_dir.glob("blobs/*/*/*"))
    assert not list(data_dir.glob("incoming/*/export"))


@pytest.mark.django_db(transaction=True)
def test_deleted_by_itself_it_leaves_the_results(
    alice_api: APIClient, job: dict[str, Any], data_dir: Path
) -> None:
    export = built(alice_api, job["id"])
    assert exported_bytes(data_dir)
    assert alice_api.delete(export["url"]).status_code == 204
    assert not exported_bytes(data_dir)
    assert body(alice_api.get(f"{job['url']}/results.zip"))
    assert AuditEntry.objects.filter(action="export.delete").count() == 1


def test_cleanup_counts_and_removes_those_past_their_time(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    built(alice_api, job["id"])
    built(alice_api, job["id"], made="csv")
    Export.objects.filter(format="csv").update(expires_at=Now() - timedelta(seconds=1))
    assert run("--dry-run")["exports"] == 1
    assert Export.objects.count() == 2
    assert run()["exports"] == 1
    assert Export.objects.get().format == "zip"
    assert BatchFile.objects.count() == 2


# --- when something breaks ----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_waits_and_builds_it_once_there_is_room(
    alice_api: APIClient, job: dict[str, Any], settings: Settings, data_dir: Path
) -> None:
    export = asked(alice_api, job["id"])
    settings.STORAGE_MIN_FREE_BYTES = 2**60
    assert worker.work_off("export") == 1
    told = alice_api.get(export["url"]).json()
    assert (told["state"], told["error"]["code"]) == ("retry_wait", "queue.storage")
    assert "disk" in told["error"]["detail"]
    assert Pause.objects.get().lane == "export"
    assert not list(data_dir.glob("incoming/*/export"))
    settings.STORAGE_MIN_FREE_BYTES = 0
    WorkItem.objects.update(available_at=Now())
    assert worker.work_off("export") == 1
    assert alice_api.get(export["url"]).json()["state"] == "ready"


def test_a_disk_that_fills_meanwhile_leaves_nothing_half_built(
    alice_api: APIClient, job: dict[str, Any], data_dir: Path
) -> None:

    asked(alice_api, job["id"])
    found = claim("export", SOMEBODY)
    assert found
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # as if the disk was full by then
    try:
        with pytest.raises(RunFailed) as failed:
            WorkItemHandler().run(found[1], GOES_ON)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed.value.failure.code == "queue.storage"
    assert not list(data_dir.glob("incoming/*/export"))
    assert Export.objects.get().content is None


@pytest.mark.django_db(transaction=True)
def test_who_built_it_and_died_before_saying_so_leaves_it_built(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    export = asked(alice_api, job["id"])
    found = claim("export", SOMEBODY)
    assert found
    WorkItemHandler().run(found[1], GOES_ON)
    ready_at = Export.objects.get().ready_at
    WorkItem.objects.update(state=State.QUEUED, lease_token=None)  # taken back
    build_next()
    assert Export.objects.get().ready_at == ready_at
    assert alice_api.get(export["url"]).json()["state"] == "ready"
    assert WorkAttempt.objects.count() == 2


def test_who_lost_the_lease_puts_nothing_in_place(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    asked(alice_api, job["id"])
    found = claim("export", SOMEBODY)
    assert found
    WorkItem.objects.update(lease_token=SOMEBODY)
    with pytest.raises(RunStopped):
        WorkItemHandler().run(found[1], GOES_ON)
    assert Export.objects.get().content is None


def test_a_failed_one_is_shown_with_its_reason_and_can_be_asked_for_again(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    export = asked(alice_api, job["id"])
    WorkItem.objects.update(state=State.FAILED, error_code="queue.error", error_detail="Broken.")
    told = alice_api.get(export["url"]).json()
    assert (told["state"], told["error"]) == (
        "failed",
        {"code": "queue.error", "detail": "Broken."},
    )
    assert asked(alice_api, job["id"])["id"] != export["id"]
