"""A bucket that refuses our key, from the beginning or from some moment on: nothing is taken for
lost, nothing goes, and everybody is told what it is."""

import logging

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.health import doctor, promises, stored
from apps.jobs import stock, storage
from apps.jobs.errors import StorageUnavailable
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.services import delete_job
from apps.queue.models import Pause, in_seconds
from tests.batches import owner_of
from tests.jobs.forms import accepted, part, post
from tests.storage.bucket import Server
from tests.storage.reading import read_really

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once, pytest.mark.timeout(300)]
TEXT = b"What is read when the key is good again.\n"
SAYS = r"refuses the key that it is asked with \((403|InvalidAccessKeyId)\)"


def test_nothing_is_taken_for_lost_and_all_goes_on(
    server: Server, acme: Organization, alice_api: APIClient
) -> None:
    accepted(alice_api, part(TEXT))
    blob = Blob.objects.get()
    with server.refusing():
        looks = (storage.is_there, storage.is_gone, storage.open_bytes, storage.read_bytes)
        for look in looks:
            with pytest.raises(StorageUnavailable, match=SAYS):
                look(blob)
        with pytest.raises(StorageUnavailable, match=SAYS):
            storage.remove_orphans()
        answer = post(alice_api, part(b"Another."))
        assert (answer.status_code, answer.json()["code"]) == (503, "storage.unavailable")
        read_really()
        file = BatchFile.objects.get()
        assert (file.state, file.error_class, file.failures) == ("retry_wait", "infra", 0)
    assert storage.is_there(blob)
    Pause.objects.all().delete()
    BatchFile.objects.update(available_at=in_seconds(-1))
    read_really()
    assert BatchFile.objects.get().state == "succeeded"


def test_health_and_doctor_say_what_it_is(
    server: Server,
    acme: Organization,
    alice_api: APIClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    accepted(alice_api, part(TEXT))
    with server.refusing():
        with caplog.at_level(logging.WARNING, logger="apps.health"):
            assert stored.Look()().status == "failed"
        assert "refuses the key" in caplog.text
        found = promises.inspect(is_quick=False, tell=lambda _: None)
        [line] = [each for each in found["Bytes"] if each.status != "ok"]
        assert (line.name, line.status) == ("bucket", "broken")
        assert "refuses the key" in line.detail
        [told] = doctor._bucket_lines()
        assert (told.status, "refuses the key" in told.detail) == ("broken", True)
        assert promises.lost_jobs(found) == []
    stored.Look()()  # which says that it is well again


def test_what_is_deleted_meanwhile_goes_from_the_bucket_afterwards(
    server: Server, acme: Organization, alice_api: APIClient
) -> None:
    accepted(alice_api, part(TEXT))
    read_really()
    with server.refusing():
        delete_job(actor=owner_of(acme), job=BatchJob.objects.get())
    assert not BatchJob.objects.exists()
    assert len(server.names()) == Blob.objects.count() == 2
    assert [each.name for each in stock.inspect() if each.count] == []
    Blob.objects.update(created_at=in_seconds(-25 * 3600))
    storage.remove_orphans()
    assert server.names() == []
    assert not Blob.objects.exists()
