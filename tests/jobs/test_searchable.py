"""Searchable PDFs from end to end: real jobs, real processors; the bytes go with their result."""

from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from django.db import transaction
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import extractions, storage
from apps.jobs.models import BatchFile, BatchJob, Blob, FileResult
from apps.jobs.results import extraction
from apps.jobs.services import delete_job
from apps.processors.protocol import Extraction, Member, Page
from apps.queue import worker
from tests.batches import check_books, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.containers import submit_files
from tests.jobs.forms import body

ROOT = Path(__file__).parents[2]
PAPERS = ("samples/invoice-scan.pdf", "tests/data/text-and-scan.pdf", "samples/survey.png")


@pytest.fixture(autouse=True)
def _few_processors(settings: Settings) -> Iterator[None]:
    """So that the child is there sooner."""
    settings.PROCESSORS = [
        "apps.processors.pdf.PdfProcessor",
        "apps.processors.image.ImageProcessor",
        "apps.processors.text.TextProcessor",
    ]
    settings.SEARCHABLE_PDF = True
    yield
    worker.close_slot()


def read(organization: Organization, *papers: str) -> list[BatchFile]:
    """The files, read by a real job, in order."""
    job = submit_files(
        organization, {Path(name).name: (ROOT / name).read_bytes() for name in papers}
    )
    worker.work_off("default")
    check_books()
    return list(job.files.order_by("position").select_related("result"))


def address(file: BatchFile) -> str:
    return f"/api/batch/files/{file.pk}/searchable"


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_words_are_read_back_from_the_pdf_that_is_downloaded(
    acme: Organization, alice_api: APIClient, data_dir: Path
) -> None:
    files = read(acme, *PAPERS)
    for file in files:
        answer = alice_api.get(address(file))
        assert answer["Content-Type"] == "application/pdf"
        assert answer["Content-Security-Policy"].startswith("sandbox;")
        name = f"{Path(file.name).stem}.searchable.pdf"
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
        pages = extraction(file.result)["pages"]
        with pypdfium2.PdfDocument(body(answer)) as pdf:
            found = [page.get_textpage().get_text_bounded().split() for page in pdf]
        assert found == [page["text"].split() for page in pages]
        assert any(page["ocr"] for page in pages)
        assert "artifacts" not in extraction(file.result)
    shown = alice_api.get(f"/api/batch/files/{files[0].pk}").json()
    assert shown["searchable_url"] == f"http://testserver{address(files[0])}"
    assert list((data_dir / "incoming").iterdir()) == []

    assert Blob.objects.count() == 3 * len(files)
    delete_job(actor=owner_of(acme), job=files[0].job)
    assert not Blob.objects.exists()
    assert not [path for path in (data_dir / "blobs").rglob("*") if path.is_file()]


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_there_is_none_where_it_is_off(
    acme: Organization, alice_api: APIClient, settings: Settings
) -> None:
    settings.SEARCHABLE_PDF = False
    [file] = read(acme, "samples/survey.png")
    assert extraction(file.result)["pages"][0]["ocr"]
    answer = alice_api.get(address(file))
    assert (answer.status_code, answer.json()["code"]) == (409, "file.no_result")
    assert answer.json()["detail"] == "No searchable PDF was made of this file."
    assert alice_api.get(f"/api/batch/files/{file.pk}").json()["searchable_url"] is None
    assert Blob.objects.count() == 2


def keep(file: BatchFile, *searchable: bytes) -> FileResult:
    """A result of `file`, with that searchable PDF."""
    with storage.incoming() as folder:
        artifacts = []
        for content in searchable:
            (folder / "1").write_bytes(content)
            artifacts.append(Member("searchable.pdf", str(folder / "1")))
        read = Extraction((Page(1, "read"),), "txt", "script", artifacts=tuple(artifacts))
        with transaction.atomic():
            extractions.keep(file, extractions.write(read, folder))
    return FileResult.objects.get(file=file)


@pytest.mark.django_db(transaction=True)
def test_the_next_result_releases_what_was_made_before(acme: Organization) -> None:
    job: BatchJob = submit(acme, "text")
    file = job.files.get()
    first = keep(file, b"first").searchable
    again = keep(file, b"first").searchable
    assert again == first
    second = keep(file, b"second").searchable
    assert not Blob.objects.filter(pk=first.pk).exists()
    assert not storage.path_of(first).exists()
    assert not storage.release([second.pk])
    Blob.objects.update(created_at="2020-01-01T00:00Z")
    assert storage.remove_orphans() == 0
    assert storage.path_of(second).read_bytes() == b"second"
    assert keep(file).searchable is None
    assert not storage.path_of(second).exists()
    assert Blob.objects.count() == 2


@pytest.mark.once
@pytest.mark.django_db
def test_the_page_of_the_file_leads_to_it(
    acme: Organization, alice: object, client_for: ClientFor
) -> None:
    file = submit(acme, "text").files.get()
    keep(file)
    page = client_for(alice).get(f"/files/{file.pk}").content.decode()
    assert "Searchable PDF" not in page
    keep(file, b"pdf")
    page = client_for(alice).get(f"/files/{file.pk}").content.decode()
    assert f'href="{address(file)}"' in page
