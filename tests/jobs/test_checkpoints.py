"""What was read before a run was lost is not read again."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, Blob, Checkpoint
from apps.jobs.services import requeue_job
from apps.queue.handlers import Control, Output
from apps.queue.settle import succeed, take_back
from tests.batches import check_books, check_nothing_runs, claimed, owner_of, submit

pytestmark = pytest.mark.django_db(transaction=True)

CONTROL = Control(report=lambda *_: None, should_stop=lambda: False)


@pytest.fixture
def handler(settings: Settings) -> Iterator[BatchFileHandler]:
    settings.PROCESSORS = ["tests.queue.slow.SlowProcessor", *settings.PROCESSORS]
    handler = BatchFileHandler()
    yield handler
    handler.close()


def lose(file: BatchFile) -> None:
    BatchFile.objects.filter(pk=file.pk).update(lease_expires_at=Now() - timedelta(seconds=1))
    assert take_back(BatchFileHandler, file.pk)


def run(handler: BatchFileHandler, file: BatchFile) -> tuple[Output, float]:
    began = time.monotonic()
    return handler.run(file, CONTROL), time.monotonic() - began


def test_a_run_after_a_lost_one_stores_what_that_had_read(
    acme: Organization, handler: BatchFileHandler
) -> None:
    job = submit(acme, "1.2 long")
    file = claimed()
    run(handler, file)
    assert Checkpoint.objects.get().file_id == file.pk
    lose(file)
    again = claimed()
    output, seconds = run(handler, again)
    assert seconds < 1
    assert output.usage.cpu_seconds == 0
    assert succeed(BatchFileHandler, again, output)
    assert not Checkpoint.objects.exists()
    again.refresh_from_db()
    assert b"1.2 long" in storage.path_of(again.result.content).read_bytes()
    # The blob of the bytes, and one of the result, which was the checkpoint's.
    assert Blob.objects.count() == 2
    assert storage.remove_orphans() == 0
    check_books()
    check_nothing_runs()

    requeue_job(actor=owner_of(acme), job=job)
    _, seconds = run(handler, claimed())
    assert seconds >= 1.2, "a requeue reads everything anew"


def test_what_was_read_by_other_means_is_read_again(
    acme: Organization, handler: BatchFileHandler
) -> None:
    submit(acme, "1.1 long")
    file = claimed()
    run(handler, file)
    Checkpoint.objects.update(fingerprint="of another version of the processor")
    lose(file)
    _, seconds = run(handler, claimed())
    assert seconds >= 1.1


def test_who_lost_the_file_keeps_nothing(acme: Organization, handler: BatchFileHandler) -> None:
    submit(acme, "1.1 long")
    file = claimed()
    lose(file)
    run(handler, file)
    assert not Checkpoint.objects.exists()
    assert Blob.objects.count() == 1


def test_short_reading_is_not_kept(acme: Organization, handler: BatchFileHandler) -> None:
    submit(acme, "0 that starts the reader", "0 short")
    run(handler, claimed())
    Checkpoint.objects.all().delete()
    run(handler, claimed())
    assert not Checkpoint.objects.exists()
