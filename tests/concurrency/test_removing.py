"""A deletion between two steps of somebody else who uses the same bytes."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection, transaction

from apps.accounts.models import Organization, User
from apps.jobs import bulk, storage
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.services import delete_job
from apps.jobs.services.removing import lock_to_remove, remove_jobs
from apps.jobs.verbs import JOB_VERBS
from apps.queue import worker
from tests.batches import check_books, owner_of
from tests.batches import submit_exactly as submit
from tests.concurrency.test_storm import is_somebody_waiting_for_a_lock
from tests.jobs.conftest import data_dir
from tests.jobs.runs import read_next
from tests.processes import eventually

__all__ = ["data_dir"]

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


class Meanwhile(threading.Thread):
    """Work in a thread of its own, begun in the midst of the test's transaction."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.work = work
        self.start()
        eventually(lambda: is_somebody_waiting_for_a_lock() or not self.is_alive())

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:  # noqa: BLE001  the test looks at it
            self.errors.append(error)
        finally:
            connection.close()


def read(acme: Organization) -> BatchJob:
    job = submit(acme, "the same")
    if not job.files.filter(state="duplicate").exists():
        read_next()
    return job


def test_what_is_submitted_while_its_original_goes_is_whole(
    acme: Organization, data_dir: Path
) -> None:
    original = read(acme)
    with transaction.atomic():
        copy = submit(acme, "the same")
        assert copy.files.get().state == "duplicate"
        deletion = Meanwhile(lambda: delete_job(actor=owner_of(acme), job=original))
    deletion.join()
    assert deletion.errors == []
    assert list(BatchJob.objects.all()) == [copy]
    file = BatchFile.objects.select_related("content", "result__content").get()
    assert (file.state, file.duplicate_of) == ("duplicate", None)
    assert storage.path_of(file.content).exists()
    assert storage.path_of(file.result.content).exists()
    check_books()


def test_an_original_and_its_duplicate_go_at_the_same_moment(
    acme: Organization, data_dir: Path
) -> None:
    original, copy = read(acme), read(acme)
    with transaction.atomic():
        found = lock_to_remove([copy.pk])
        deletion = Meanwhile(lambda: delete_job(actor=owner_of(acme), job=original))
        remove_jobs(found)
    deletion.join()
    assert deletion.errors == []
    assert not BatchJob.objects.exists()


def test_a_bulk_deletion_waits_for_who_removes_the_same_job(
    acme: Organization, alice: User, data_dir: Path
) -> None:
    """As cleanup does, or the owner: bytes first, then files. Taken the other way round, each has
    what the other waits for."""
    job = read(acme)
    matching = bulk.Matching.now("jobs", BatchJob.objects.all(), {})
    item = bulk.request_bulk(by=superuser_of(alice), verb=JOB_VERBS["delete"], matching=matching)
    with transaction.atomic():
        list(Blob.objects.select_for_update().values_list("pk"))
        deletion = Meanwhile(lambda: worker.work_off("sync"))
        remove_jobs(lock_to_remove([job.pk]))
    deletion.join()
    assert deletion.errors == []
    item.refresh_from_db()
    assert (item.state, item.attempts) == ("succeeded", 1)
    assert item.result == {"done": 0, "skipped": {"There is no such job.": 1}}


def superuser_of(user: User) -> User:
    user.is_staff = user.is_superuser = True
    user.save()
    return user
