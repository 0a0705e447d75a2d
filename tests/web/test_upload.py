"""The page of a new job, as it works without its script."""

import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob
from apps.processors import registry
from tests.jobs.forms import (
    FORM_TYPE,
    UPLOAD,
    assert_nothing_stored,
    body_of,
    field,
    part,
)
from tests.processors.faulty import FaultyProcessor
from tests.web.uploading import PAGE, Browser, assert_refused, hidden_fields

pytestmark = pytest.mark.once

NO_FILE = part(b"", "")
"""What a browser sends for a file input in which nothing was chosen."""


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return Path(settings.DOCMILL_DATA_DIR)


class Tally(FaultyProcessor):
    """Offers what no built-in processor does."""

    operations = frozenset({"tally"})


@pytest.fixture
def browser(alice: User, acme: Organization) -> Browser:
    return Browser(alice, acme)


# --- the form ---------------------------------------------------------------------------------


def test_offers_what_can_be_done_here(browser: Browser) -> None:
    page = browser.client.get(PAGE).content.decode()
    assert re.search(r'value="extract"[^>]*data-extensions="\.pdf \.docx [^"]*"\s+checked', page)
    assert re.search(r'value="ocr"[^>]*data-extensions="\.pdf \.png [^"]*\.zip"', page)
    assert "English if none is chosen." in page
    assert '<input type="password" id="password" name="password"' in page
    assert 'data-max-files="50"' in page
    assert f'data-max-bytes="{50 * 1024 * 1024}"' in page
    assert f'data-api="{UPLOAD}"' in page
    for code in registry.languages():
        assert f'name="language.{code}"' in page
    assert "nearly full" not in page


@pytest.mark.once
def test_an_operation_of_an_added_processor_is_offered(
    browser: Browser, settings: Settings
) -> None:
    settings.PROCESSORS = ["tests.web.test_upload.Tally"]
    page = browser.client.get(PAGE).content.decode()
    assert re.search(r'value="tally" data-label="Tally"[^>]* checked', page)
    assert 'value="extract"' not in page


@pytest.mark.once
def test_without_a_processor_the_page_still_opens(browser: Browser, settings: Settings) -> None:
    settings.PROCESSORS = []
    page = browser.client.get(PAGE).content.decode()
    assert 'name="operation"' not in page


def test_the_page_is_never_kept(browser: Browser) -> None:
    assert "no-store" in browser.client.get(PAGE)["Cache-Control"]


def test_says_at_once_that_the_disk_is_full(browser: Browser, settings: Settings) -> None:
    settings.STORAGE_MIN_FREE_BYTES = 1024**5
    assert "nearly full" in browser.client.get(PAGE).content.decode()


# --- a job ------------------------------------------------------------------------------------


def test_makes_a_job_of_the_files(browser: Browser, acme: Organization, alice: User) -> None:
    answer = browser.send(
        part(b"one", "a.txt"),
        part(b"two", "b.txt"),
        operation="extract",
        priority="high",
        name="March",
        pages="1-3, 7",
        ocr="never",
        **{"language.deu": "on"},
    )
    job = BatchJob.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/jobs/{job.pk}")
    assert (job.organization, job.created_by) == (acme, alice)
    assert (job.name, job.operation, job.get_priority_display()) == ("March", "extract", "high")
    assert job.options == {"languages": ["deu"], "pages": "1-3,7", "ocr": "never"}
    files = BatchFile.objects.select_related("content").order_by("position")
    assert [file.name for file in files] == ["a.txt", "b.txt"]
    assert [storage.path_of(file.content).read_bytes() for file in files] == [b"one", b"two"]


def test_the_fields_may_stand_after_the_files(browser: Browser) -> None:
    answer = browser.send(part(), field("operation", "extract"), field("priority", "low"))
    assert answer.status_code == 303
    assert BatchJob.objects.get().get_priority_display() == "low"


def test_what_a_client_library_encodes_is_taken_too(browser: Browser) -> None:
    """Django's own encoder, with a file of several megabytes."""
    large = SimpleUploadedFile("large.txt", b"words and words\n" * 200_000)
    form = {"csrfmiddlewaretoken": browser.token, "idempotency_key": browser.key, "file": large}
    answer = browser.client.post(PAGE, form)
    assert answer.status_code == 303
    assert BatchFile.objects.get().size_bytes == 3_200_000


def test_a_bad_file_does_not_stop_the_others(browser: Browser) -> None:
    assert browser.send(part(), part(b"", "empty.txt")).status_code == 303
    job = BatchJob.objects.get()
    assert (job.total, job.rejected) == (2, 1)


def test_sent_twice_it_is_one_job(browser: Browser) -> None:
    first, second = (browser.send(part(b"the same")) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first["Location"] == second["Location"]
    assert BatchJob.objects.count() == 1
    shown = browser.client.get("/jobs").content.decode()
    assert "These files were sent before" in shown


def test_the_page_opened_again_makes_another_job(browser: Browser) -> None:
    browser.send(part())
    browser.open()
    assert browser.send(part()).status_code == 303
    assert BatchJob.objects.count() == 2


def test_other_files_from_a_page_that_was_used_are_refused_with_a_new_key(
    browser: Browser,
) -> None:
    browser.send(part())
    answer = browser.send(part(b"other"))
    assert_refused(answer, 422, "This page has sent other files before.")
    browser.token, browser.key = hidden_fields(answer.content.decode())
    assert browser.send(part(b"other")).status_code == 303
    assert BatchJob.objects.count() == 2


@pytest.mark.once
def test_the_browser_asks_for_a_file_by_itself(browser: Browser) -> None:
    page = browser.client.get(PAGE).content.decode()
    assert re.search(r'<input type="file" id="files"[^>]* required ', page)


# --- refusals: the page again, and nothing stored ------------------------------------------------


@pytest.mark.parametrize("files", [(), (NO_FILE,)])
def test_without_a_file_it_asks_for_one(
    browser: Browser, data_dir: Path, files: tuple[bytes, ...]
) -> None:
    answer = browser.send(*files)
    assert_refused(answer, 400, "Choose at least one file.")
    assert "Choose the files again" not in answer.content.decode()
    assert_nothing_stored(data_dir)


def test_where_every_file_is_refused_each_is_named(browser: Browser, data_dir: Path) -> None:
    answer = browser.send(part(b"", "<b>.txt"), part(b"\x7fELF\x02", "x.bin"))
    assert_refused(
        answer,
        422,
        "<strong>&lt;b&gt;.txt</strong>: The file is empty.",
        "<strong>x.bin</strong>: Programs and scripts are not taken.",
    )
    assert_nothing_stored(data_dir)


def test_a_file_that_is_too_large_is_refused(
    browser: Browser, data_dir: Path, settings: Settings
) -> None:
    settings.BATCH_MAX_FILE_BYTES = 1024 * 1024
    answer = browser.send(part(b"x" * 1024 * 1024 + b"x", "a.txt"))
    assert_refused(answer, 422, "larger than 1 MB")
    assert_nothing_stored(data_dir)


def test_too_many_files_are_refused(browser: Browser, data_dir: Path) -> None:
    answer = browser.send(*(part(name=f"{n}.txt") for n in range(51)))
    assert_refused(answer, 413, "A batch takes at most 50 files.")
    assert_nothing_stored(data_dir)


def test_a_body_over_the_limit_is_refused_by_its_length(
    browser: Browser, data_dir: Path, settings: Settings
) -> None:
    settings.BATCH_MAX_FILE_BYTES = settings.BATCH_MAX_FILES = 1
    answer = browser.send(part(b"x" * 1024 * 1024 * 2))
    assert_refused(answer, 413, "A batch takes at most")
    assert_nothing_stored(data_dir)


def test_a_full_disk_is_told_with_the_time_to_come_back(
    browser: Browser, data_dir: Path, settings: Settings
) -> None:
    settings.STORAGE_MIN_FREE_BYTES = 1024**5
    answer = browser.send(part())
    assert_refused(answer, 503, "The disk is nearly full.")
    assert int(answer["Retry-After"]) > 0
    assert_nothing_stored(data_dir)


def test_what_was_chosen_stays_chosen(browser: Browser, data_dir: Path) -> None:
    answer = browser.send(
        part(),
        operation="ocr",
        priority="low",
        name='"March"',
        pages="3-1",
        ocr="force",
        **{"language.deu": "on"},
    )
    page = answer.content.decode()
    assert_refused(answer, 400, "<strong>Pages</strong>: Pages count from 1")
    assert page.count("Pages count from 1") == 1
    assert "Choose the files again" in page
    assert re.search(r'name="pages" value="3-1"[^>]*aria-invalid="true"', page)
    assert re.search(r"<details[^>]* open>", page)
    assert 'name="name" maxlength="200" value="&quot;March&quot;"' in page
    assert re.search(r'value="ocr"[^>]* checked', page)
    assert not re.search(r'value="extract"[^>]* checked', page)
    assert '<option value="low" selected>' in page
    assert '<option value="force" selected>' in page
    assert re.search(r'name="language.deu"[^>]* checked', page)
    assert not re.search(r'name="language.eng"[^>]* checked', page)
    assert_nothing_stored(data_dir)


@pytest.mark.parametrize(
    ("name", "value", "status", "told"),
    [
        ("priority", "urgent", 400, "<strong>Priority</strong>: priority must be one of"),
        ("operation", "nonsense", 400, "<strong>Operation</strong>: operation must be one of"),
        ("operation", "transcribe", 422, "transcribe is not offered here"),
        ("name", "n" * 201, 400, "<strong>Name</strong>: name takes at most 200"),
        ("ocr", "perhaps", 400, "<strong>Ocr</strong>: This is one of"),
        ("language.xyz", "on", 400, "<strong>Languages</strong>: There is no OCR model for xyz"),
        ("idempotency_key", "", 400, "Idempotency-Key"),
        ("unknown", "x", 400, "There is no such field."),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    browser: Browser, data_dir: Path, name: str, value: str, status: int, told: str
) -> None:
    assert_refused(browser.send(part(), **{name: value}), status, told)
    assert_nothing_stored(data_dir)


def test_a_body_that_ends_early_is_refused_wherever_it_ends(
    browser: Browser, data_dir: Path
) -> None:
    whole = body_of([*browser.fields(), part(b"a" * 300, "a.txt"), part(b"b" * 300, "b.txt")])
    closed = whole.rindex(b"--\r\n") + 2
    for length in [*range(1, closed, 61), closed - 2, closed - 1]:
        answer = browser.client.generic("POST", PAGE, whole[:length], FORM_TYPE)
        assert answer.status_code == 400, length
        assert_nothing_stored(data_dir)


def test_what_is_no_form_is_refused(browser: Browser, data_dir: Path) -> None:
    answer = browser.client.post(PAGE, {"a": "b"}, content_type="application/json")
    assert_refused(answer, 415)
    answer = browser.client.generic("POST", PAGE, body_of([part()]), FORM_TYPE, CONTENT_LENGTH="")
    assert_refused(answer, 411)
    assert_nothing_stored(data_dir)


@pytest.mark.once
def test_other_methods_are_refused(browser: Browser) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        assert browser.client.generic(method, PAGE).status_code == 405
