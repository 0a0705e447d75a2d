"""Documents found inside documents: what becomes of them in the books."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.live import live_of
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.results import extraction
from apps.jobs.services import cancel_job, delete_job, recount, retry_job
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from apps.web.job_page import JobPage
from tests.batches import (
    Scripted,
    check_books,
    claimed,
    failure_of,
    owner_of,
)
from tests.jobs.containers import open_next, opened, submit_files, zip_of
from tests.jobs.runs import fail_next, read_next

pytestmark = pytest.mark.django_db

TWO = {"a.txt": b"first", "deep/b.txt": b"second"}
EMPTY = zip_of()


def names(**which: object) -> list[tuple[str, str]]:
    rows = BatchFile.objects.filter(**which).order_by("position")
    return list(rows.values_list("name", "state"))


def test_they_are_files_of_the_job_at_the_end_of_its_line(acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one"), "z.txt": b"beside"})
    container = open_next(TWO)
    job.refresh_from_db()
    assert (job.state, job.total, job.succeeded) == ("running", 4, 1)
    beside, *found = BatchFile.objects.exclude(pk=container.pk).order_by("position")
    assert [(f.name, f.position, f.depth, f.parent_id) for f in found] == [
        ("a.txt", 3, 1, container.pk),
        ("deep/b.txt", 4, 1, container.pk),
    ]
    for file in found:
        assert (file.state, file.kind, file.lane, file.priority) == ("queued", "txt", "default", 0)
        assert file.fair_rank > beside.fair_rank
        assert storage.path_of(file.content).exists()
    assert [read_next().name for _ in range(3)] == ["z.txt", "a.txt", "deep/b.txt"]
    job.refresh_from_db()
    assert (job.state, job.succeeded) == ("succeeded", 4)
    check_books()


def test_the_result_names_them_and_no_path_of_the_server(
    acme: Organization, data_dir: Path
) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    container = open_next({"a.txt": b"first", "run.exe": b"MZ" + bytes(64)})
    stored = extraction(BatchFile.objects.get(pk=container.pk).result)
    refused = BatchFile.objects.get(name="run.exe")
    assert stored["members"] == [
        {"name": "a.txt"},
        {"name": "run.exe", "code": refused.error_code, "detail": refused.error_detail},
    ]
    assert str(data_dir) not in json.dumps(stored)
    assert (refused.state, refused.error_class, refused.content) == ("rejected", "permanent", None)
    assert refused.finished_at == BatchFile.objects.get(pk=container.pk).finished_at
    assert BatchJob.objects.get().rejected == 1


@pytest.mark.parametrize(
    "name", ["../up.txt", "/etc/a.txt", "a//b.txt", "a\\b.txt", "a/.", "tab\t/a.txt", "d/" * 200]
)
def test_an_unsafe_name_is_refused(acme: Organization, name: str) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    open_next({name: b"text"})
    refused = BatchFile.objects.get(depth=1)
    assert (refused.state, refused.error_code) == ("rejected", "document.name")
    assert len(refused.name) <= 300


def test_a_path_from_here_is_a_safe_name(acme: Organization) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    open_next({"./letters/a.txt": b"text"})
    found = BatchFile.objects.get(depth=1)
    assert (found.name, found.kind) == ("letters/a.txt", "txt")


def test_of_a_long_path_the_end_is_shown(acme: Organization) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    open_next({f"{'folder/' * 60}end.txt": b"text"})
    found = BatchFile.objects.get(depth=1)
    assert (len(found.name), found.name[:3], found.kind) == (300, "...", "txt")
    assert found.name.endswith("/end.txt")


def test_what_is_too_large_or_not_offered_is_refused(
    acme: Organization, settings: Settings
) -> None:
    submit_files(acme, {"all.zip": zip_of("one")}, operation="ocr")
    settings.BATCH_MAX_FILE_BYTES = 4 * 1024 * 1024
    open_next({"big.txt": b"x" * (4 * 1024 * 1024 + 1), "a.txt": b"text"}, lane="ocr")
    codes = BatchFile.objects.filter(depth=1).order_by("position")
    assert list(codes.values_list("error_code", flat=True)) == [
        "document.too_large",
        "document.unsupported",
    ]
    assert BatchJob.objects.get().state == "partial"  # nothing is left to do
    check_books()


def test_a_job_takes_so_many_and_no_more(acme: Organization, settings: Settings) -> None:
    settings.BATCH_MAX_FOUND = 3
    job = submit_files(acme, {"1.zip": zip_of("a"), "2.zip": zip_of("b"), "3.zip": zip_of("c")})
    for _ in range(3):
        container = open_next(TWO)
    assert BatchFile.objects.filter(depth=1).count() == 3
    cut, none = BatchFile.objects.filter(position__in=(2, 3)).order_by("position")
    assert (cut.result.quality, none.result.quality) == ("partial", "partial")
    assert cut.result.warnings == [
        "1 of its files was not taken: a job takes at most 3 found files."
    ]
    assert extraction(cut.result)["warnings"] == cut.result.warnings
    assert extraction(cut.result)["members"] == [{"name": "a.txt"}]
    assert none.result.warnings[0].startswith("2 of its files were not taken")
    assert container.pk == none.pk
    job.refresh_from_db()
    assert job.total == 6
    check_books()


def test_a_failure_adds_nothing_and_its_retry_does(acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    file = claimed()
    handler = Scripted()
    saved = opened(handler, file, {}, text="what was read").value
    assert fail(BatchFileHandler, file, failure_of(FailureClass.PERMANENT, output=saved))
    job.refresh_from_db()
    assert (job.state, job.total) == ("failed", 1)
    BatchJob.objects.update(progress_floor=0.5)
    retry_job(actor=owner_of(acme), job=job)
    job.refresh_from_db()
    assert (job.total, job.progress_floor) == (1, 0)
    open_next(TWO)
    assert names(depth=1) == [("a.txt", "queued"), ("deep/b.txt", "queued")]
    check_books()


def test_a_cancelled_container_adds_nothing(acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    file = claimed()
    cancel_job(actor=owner_of(acme), job=job)
    assert succeed(BatchFileHandler, file, opened(Scripted(), file, TWO))
    job.refresh_from_db()
    assert (job.state, job.total) == ("cancelled", 1)
    retry_job(actor=owner_of(acme), job=job)
    open_next(TWO)
    assert BatchJob.objects.get().total == 3


def test_found_files_are_cancelled_with_the_others(acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next(TWO)
    cancel_job(actor=owner_of(acme), job=job)
    job.refresh_from_db()
    assert (job.state, job.cancelled, job.total) == ("cancelled", 2, 3)


def test_a_transaction_that_is_repeated_adds_them_once(acme: Organization) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    file = claimed()
    output = opened(Scripted(), file, {**TWO, "c.txt": b"first"})
    with transaction.atomic():
        assert succeed(BatchFileHandler, file, output)
        transaction.set_rollback(True)
    assert BatchFile.objects.count() == 1
    assert succeed(BatchFileHandler, file, output)
    assert BatchFile.objects.filter(depth=1).count() == 3
    for found in BatchFile.objects.filter(depth=1):
        assert storage.path_of(found.content).stat().st_size == found.size_bytes


def test_delete_takes_them_and_their_bytes(
    acme: Organization, data_dir: Path, django_capture_on_commit_callbacks: object
) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next({"in.zip": EMPTY, **TWO})
    read_next()
    open_next({"deeper.txt": b"third"})
    while BatchFile.objects.filter(state="queued").exists():
        read_next()
    job.refresh_from_db()
    assert (job.state, job.total) == ("succeeded", 5)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        delete_job(actor=owner_of(acme), job=job)
    assert not BatchFile.objects.exists()
    assert not Blob.objects.exists()
    assert not [path for path in (data_dir / "blobs").rglob("*") if path.is_file()]


def test_counting_again_counts_them(acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next({**TWO, "run.exe": b"MZ" + bytes(64)})
    BatchJob.objects.update(total=1, succeeded=0, rejected=0)
    recount(job.pk)
    job.refresh_from_db()
    assert (job.total, job.succeeded, job.rejected, job.state) == (4, 1, 1, "running")
    check_books()


def test_progress_never_falls_while_files_are_found(acme: Organization) -> None:
    job = submit_files(acme, {"1.txt": b"beside", "all.zip": zip_of("one"), "2.zip": zip_of("b")})
    shown = [shown_of(job)]
    read_next()
    shown.append(shown_of(job))
    # What is done is a smaller share then.
    many = {f"{number}.txt": b"%d" % number for number in range(9)}
    for found in ({"in.zip": EMPTY, **many}, TWO, {"c.txt": b"third"}):
        file = claimed()
        for progress in (0.4, 0.9):
            BatchFile.objects.filter(pk=file.pk).update(progress=progress)
            shown.append(shown_of(job))
        assert succeed(BatchFileHandler, file, opened(Scripted(), file, found))
        shown.append(shown_of(job))
    while BatchFile.objects.filter(state="queued").exists():
        fail_next() if len(shown) % 3 else read_next()
        shown.append(shown_of(job))
    assert shown[0] == 0
    assert shown[1] == pytest.approx(1 / 3, abs=1e-4)
    assert all(before <= after for before, after in pairwise(shown)), shown
    assert shown[-1] == 1
    assert shown[-2] < 1


def test_what_is_found_last_is_not_done_before_it_is_read(acme: Organization) -> None:
    job = submit_files(acme, {"1.txt": b"beside", "all.zip": zip_of("one")})
    read_next()
    assert shown_of(job) == 0.5
    open_next(TWO)
    assert shown_of(job) == 0.5


def shown_of(job: BatchJob) -> float:
    """What both faces show."""
    job.refresh_from_db()
    live = live_of([job])[job.pk]
    page = JobPage(job, owner_of(job.organization))
    assert (page.live.counts, page.live.progress) == (live.counts, live.progress)
    return live.progress
