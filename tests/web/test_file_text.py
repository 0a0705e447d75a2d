"""The text on a file's page: one page at a time, bounded, and never more than text."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.processors.protocol import Page
from apps.queue.retry import FailureClass
from apps.queue.settle import fail
from apps.web import file_text
from apps.web.file_text import ranges
from apps.web.files import as_told
from tests.batches import claimed, failure_of, submit
from tests.jobs.forms import accepted, part
from tests.jobs.runs import read_next
from tests.web.file_pages import document, read_pages, shown, words

pytestmark = pytest.mark.once


@pytest.fixture
def book(acme: Organization) -> BatchFile:
    """A file of three pages, the second of which is empty and the third read from a picture."""
    submit(acme, "three pages")
    return read_pages(
        Page(number=1, text="page one"),
        Page(number=2, text=" \n"),
        Page(number=3, text="page three", ocr=True, confidence=91.6),
        language="de",
        metadata={"created_at": "2024-05-01", "title": "The tides", "author": "A. Harbour"},
        warnings=("Page 2 is without text.",),
    )


def test_pages_are_shown_one_at_a_time(alice_web: Client, book: BatchFile) -> None:
    first, second, third = (shown(alice_web, book, f"?page={n}") for n in (1, 2, 3))
    assert shown(alice_web, book).count("page one") == first.count("page one") == 1
    assert document(first) == "page one"
    assert "page three" not in first
    assert re.search(r'id="page"[^>]*value="1"', first)
    assert "of 3" in first
    assert 'id="page-after" href="?page=2"' in first
    assert re.search(r'id="page-before"[^>]*aria-disabled="true"', first)
    assert "No text on this page." in second
    assert 'data-copy="page-text"' in first
    assert 'data-copy="page-text"' not in second
    assert "OCR" not in first
    assert "Read from a picture (OCR), 92 % sure." in third
    assert re.search(r'id="page-after"[^>]*aria-disabled="true"', third)
    assert "All pages as text" in third


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2024-05-01", "1 May 2024"),
        ("2024-05-01T14:03:59+02:00", "1 May 2024, 12:03 UTC"),
        ("2024-05-01T14:03:59", "1 May 2024, 14:03"),
        ("2024", "2024"),
        ("2024-02-31", "2024-02-31"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_a_document_says_of_its_age_is_a_date_like_any_other(written: str, told: str) -> None:
    assert as_told("modified_at", written) == told
    assert as_told("title", written) == written


def test_the_side_tells_of_the_whole_document(alice_web: Client, book: BatchFile) -> None:
    told = words(shown(alice_web, book))
    assert "Pages 3 from pictures: 3" in told
    assert "Language German" in told
    assert "About this text Page 2 is without text." in told
    assert "Title The tides Author A. Harbour Created at 1 May 2024" in told


@pytest.mark.parametrize(
    "silly", ["0", "4", "-1", "99999999999999999999", "x", "1.5", "%00", "²", "%3Cb%3E", "1;2"]
)
def test_a_page_that_is_not_there_is_the_first_and_says_so(
    alice_web: Client, book: BatchFile, silly: str
) -> None:
    page = shown(alice_web, book, f"?page={silly}")
    assert document(page) == "page one"
    assert "was read. This is page 1." in words(page)
    assert "<b>" not in page


def test_a_very_long_page_number_is_not_repeated_in_full(
    alice_web: Client, book: BatchFile
) -> None:
    assert "7" * 100 not in words(shown(alice_web, book, "?page=" + "7" * 5000))


def test_no_page_number_is_the_first_page_without_a_word(
    alice_web: Client, book: BatchFile
) -> None:
    assert "This is page 1" not in shown(alice_web, book, "?page=")


def test_chosen_pages_keep_their_numbers(alice_web: Client, acme: Organization) -> None:
    submit(acme, "some")
    file = read_pages(*(Page(number=number, text=f"text {number}") for number in (3, 7, 8)))
    page = shown(alice_web, file, "?page=7")
    assert document(page) == "text 7"
    assert "(2 of 3 that were read)" in page
    assert 'href="?page=3"' in page
    assert 'href="?page=8"' in page
    assert "No page “ 5 ” was read. This is page 3." in words(shown(alice_web, file, "?page=5"))


def test_one_page_of_a_pdf_is_counted_and_has_no_page_control(
    alice_web: Client, alice_api: APIClient
) -> None:
    accepted(alice_api, part(b"%PDF-1.7\n", "a.pdf"))
    page = shown(alice_web, read_pages(Page(number=1, text="all"), language="tlh"))
    assert "Pages 1 " in words(page)
    assert "Language tlh" in words(page)
    assert 'name="page"' not in page
    assert 'class="document"' in page


def test_text_of_a_stranger_is_text(alice_web: Client, acme: Organization) -> None:
    submit(acme, "hostile")
    hostile = "<script>alert(1)</script></div>{{ file }}{% now %}\u202egnp.exe\u2066'\"&amp;"
    file = read_pages(
        Page(number=1, text=hostile),
        metadata={"<img src=x>": '"><script>alert(2)</script>', "title": "\u202eeltit"},
        warnings=("<script>alert(3)</script>",),
        language="<i>",
    )
    BatchFile.objects.filter(pk=file.pk).update(name='"><script>alert(4)</script>\u202e.txt')
    page = shown(alice_web, file)
    assert document(page) == hostile
    assert "alert" in page
    assert not re.search(r"<script>alert|<img src=x>|<i>", page)
    assert "<bdi>&quot;&gt;&lt;script&gt;" in page


def test_a_reason_of_a_stranger_is_text(alice_web: Client, acme: Organization) -> None:
    submit(acme, "hostile")
    file = claimed()
    failure = failure_of(FailureClass.PERMANENT, traceback="<script>alert(6)</script>")
    object.__setattr__(failure, "detail", "<script>alert(5)</script>")
    assert fail(BatchFileHandler, file, failure)
    page = shown(alice_web, file)
    assert "&lt;script&gt;alert(5)" in page
    assert "&lt;script&gt;alert(6)" in page
    assert "<script>alert" not in page


def test_a_very_long_page_is_cut_and_says_so(alice_web: Client, acme: Organization) -> None:
    submit(acme, "long")
    file = read_pages(Page(number=1, text="x" * 200_001))
    page = shown(alice_web, file)
    assert document(page) == "x" * 200_000
    assert "The text is very long: only its beginning is shown." in page
    submit(acme, "two")
    file = read_pages(Page(number=1, text="x" * 200_001), Page(number=2, text="y"))
    assert "This page is very long: only its beginning is shown." in shown(alice_web, file)


@pytest.mark.parametrize("letters", ["y", 'é"', "a\\", "\x01\x02", "\N{GRINNING FACE}\n", "\\u00"])
def test_of_a_very_large_result_the_beginning_is_shown(
    alice_web: Client, acme: Organization, letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_text, "MAX_STORED_BYTES", 1024 * 1024)
    submit(acme, "huge")
    text = letters * (1_500_000 // len(letters))
    file = read_pages(Page(number=1, text=text), Page(number=2, text="the end"))
    page = shown(alice_web, file)
    assert document(page) == text[:200_000]
    assert "The text is very long: only its beginning is shown." in page
    assert 'name="page"' not in page
    assert f'href="/api/batch/files/{file.pk}/text"' in page


@pytest.mark.parametrize("damage", ["missing", "no text in it"])
def test_a_very_large_result_that_cannot_be_read_is_told(
    alice_web: Client, acme: Organization, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_text, "MAX_STORED_BYTES", 10)
    submit(acme, "huge")
    file = read_next()
    path = storage.path_of(file.result.content)
    path.write_bytes(b"\xff" * 100) if damage == "no text in it" else path.unlink()
    page = shown(alice_web, file)
    assert "The text is not there any more" in page
    assert f'href="/api/batch/files/{file.pk}/text"' not in page


@pytest.mark.once
def test_five_megabytes_of_text_are_read_whole(alice_web: Client, acme: Organization) -> None:
    submit(acme, "long")
    file = read_pages(Page(number=1, text="words " * 900_000), Page(number=2, text="the end"))
    assert file.result.content.size_bytes > 10_000_000
    assert document(shown(alice_web, file, "?page=2")) == "the end"


def test_no_page_at_all_is_told(alice_web: Client, acme: Organization) -> None:
    submit(acme, "nothing")
    assert "No page of the document was read." in shown(alice_web, read_pages())


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_bytes_that_cannot_be_read_are_told(
    alice_web: Client, acme: Organization, damage: str
) -> None:
    submit(acme, "gone")
    file = read_next()
    for blob in (file.result.content, file.content):
        path = storage.path_of(blob)
        path.write_bytes(b'{"pages": [') if damage == "cut off" else path.unlink()
    page = shown(alice_web, file)
    assert "The text is not there any more" in page
    assert "should be kept until" in page
    assert f"/api/batch/files/{file.pk}/text" not in page
    assert f"/api/batch/files/{file.pk}/content" not in page
    BatchJob.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert "was kept until" in shown(alice_web, file)


@pytest.mark.once
@pytest.mark.parametrize(
    ("numbers", "told"), [([], ""), ([4], "4"), ([1, 2, 3, 7, 9, 10], "1-3, 7, 9-10")]
)
def test_ranges(numbers: list[int], told: str) -> None:
    assert ranges(numbers) == told
