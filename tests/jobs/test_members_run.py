"""Containers from end to end: real ZIPs and mails, real processors."""

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, FileResult
from apps.jobs.results import extraction
from apps.queue import worker
from apps.queue.models import Pause
from tests.batches import check_books, check_nothing_runs
from tests.jobs.containers import submit_files, zip_of, zipped

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = (
    b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Papers\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nThe papers are attached.\r\n"
    b'--b\r\nContent-Type: text/plain; name="note.txt"\r\n'
    b'Content-Disposition: attachment; filename="note.txt"\r\n\r\nA note of its own.\r\n--b--\r\n'
)


@pytest.fixture(autouse=True)
def _few_processors(settings: Settings) -> Iterator[None]:
    """So that the child is there sooner."""
    names = ("zipped.ZipProcessor", "text.TextProcessor", "mail.MailProcessor")
    settings.PROCESSORS = [f"apps.processors.{name}" for name in names]
    yield
    worker.close_slot()


def work() -> None:
    worker.work_off("default")
    check_books()
    check_nothing_runs()


def open_without_room(settings: Settings) -> None:
    """The disk is full when the archive is opened, which loses nothing, and then is not."""
    free, settings.STORAGE_MIN_FREE_BYTES = settings.STORAGE_MIN_FREE_BYTES, 2**60
    worker.work_off("default")
    file = BatchFile.objects.get(name="all.zip")
    assert (file.state, file.error_code, file.failures) == ("retry_wait", "queue.storage", 0)
    assert file.error_detail.startswith("The disk is nearly full.")
    assert not file.members.exists()
    settings.STORAGE_MIN_FREE_BYTES = free
    Pause.objects.all().delete()
    BatchFile.objects.update(available_at=Now())


def test_what_is_in_a_zip_is_read_on_its_own_however_it_is_nested(
    acme: Organization, settings: Settings
) -> None:
    inner = zipped({"deep/er.txt": b"The deepest words."})
    bundle = zipped(
        {
            "letters/a.txt": b"Dear reader.",
            "run.exe": b"MZ" + bytes(64),
            "inner.zip": inner,
            "mail.eml": MAIL,
        }
    )
    job = submit_files(acme, {"all.zip": bundle, "plain.txt": b"Beside it."})
    open_without_room(settings)
    work()
    found = {
        file.name: (file.state, file.error_code, file.parent and file.parent.name, file.depth)
        for file in BatchFile.objects.select_related("parent")
    }
    assert found == {
        "all.zip": ("succeeded", "", None, 0),
        "plain.txt": ("succeeded", "", None, 0),
        "letters/a.txt": ("succeeded", "", "all.zip", 1),
        "run.exe": ("rejected", "document.unsupported", "all.zip", 1),
        "inner.zip": ("succeeded", "", "all.zip", 1),
        "mail.eml": ("succeeded", "", "all.zip", 1),
        "deep/er.txt": ("succeeded", "", "inner.zip", 2),
        "note.txt": ("succeeded", "", "mail.eml", 2),
    }
    job.refresh_from_db()
    assert (job.state, job.total, job.rejected) == ("partial", 8, 1)
    read = {r.file.name: extraction(r) for r in FileResult.objects.select_related("file")}
    assert read["deep/er.txt"]["text"].strip() == "The deepest words."
    assert read["note.txt"]["text"].strip() == "A note of its own."
    assert [set(each) for each in read["all.zip"]["members"]] == [
        {"name"},
        {"name", "code", "detail"},
        {"name"},
        {"name"},
    ]
    assert sorted(BatchFile.objects.values_list("position", flat=True)) == list(range(1, 9))


def test_what_lies_too_deep_is_not_opened(acme: Organization) -> None:
    content = zip_of("too deep")
    for name in ("3.zip", "2.zip", "1.zip"):
        content = zipped({name: content, "mail.eml": MAIL} if name == "3.zip" else {name: content})
    submit_files(acme, {"0.zip": content})
    work()
    assert not BatchFile.objects.filter(name="1.txt").exists()
    nested = BatchFile.objects.get(name="3.zip")
    assert (nested.depth, nested.state, nested.error_code) == (3, "failed", "document.nested")
    assert not nested.attempts_made.get().peak_rss_bytes  # it was not even looked at
    mail = BatchFile.objects.get(name="mail.eml")
    assert (mail.depth, mail.state, mail.members.count()) == (3, "succeeded", 0)
    assert mail.result.quality == "partial"
    assert mail.result.warnings == [
        "1 document in it was not read: what is in documents is taken out to a depth of 3."
    ]
