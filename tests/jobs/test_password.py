"""The password of a job's documents: it opens them, and nobody can read it anywhere."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.processors.protocol import Options
from apps.queue import worker
from apps.queue.handlers import Control, RunFailed
from apps.queue.retry import FailureClass
from tests.batches import claimed
from tests.conftest import ClientFor
from tests.jobs.containers import submit_files
from tests.jobs.forms import accepted, field, part, post
from tests.operators import superuser
from tests.web.uploading import Browser

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "xyzzy-Plugh-4711"
FILES = (
    part(b"read this", "good.txt"),
    part(b"refuse this", "refused.txt"),
    part(b"break on this", "broken.txt"),
)
OTHERS = (
    part(b"read that", "good.txt"),
    part(b"refuse that", "refused.txt"),
    part(b"break on that", "broken.txt"),
)


@pytest.fixture
def telling(settings: Settings) -> Iterator[None]:
    settings.PROCESSORS = ["tests.jobs.telling.TellingProcessor"]
    yield
    worker.close_slot()


def everything_stored(data_dir: Path) -> Iterator[tuple[str, str]]:
    """(where, text) for every value in the database and every file of the data directory."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield table, repr([bytes(v) if isinstance(v, memoryview) else v for v in row])
    for path in data_dir.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes().decode(errors="replace")


def everything_shown(api: APIClient, browsers: list[Client]) -> Iterator[tuple[str, str]]:
    """(address, answer) of all that tells of jobs and files."""
    addresses = ["/api/batch/jobs", "/", "/jobs"]
    for job in BatchJob.objects.all():
        of_api = f"/api/batch/jobs/{job.pk}"
        addresses += [of_api, f"{of_api}/files", f"{of_api}/results.ndjson", f"/jobs/{job.pk}"]
        addresses.append(f"/admin/jobs/batchjob/{job.pk}/change/")
    for file in BatchFile.objects.all():
        addresses += [f"/api/batch/files/{file.pk}", f"/files/{file.pk}"]
        addresses.append(f"/admin/jobs/batchfile/{file.pk}/change/")
    for attempt in FileAttempt.objects.all():
        addresses.append(f"/admin/jobs/fileattempt/{attempt.pk}/change/")
    for address in addresses:
        for client in [api] if address.startswith("/api") else browsers:
            answer = client.get(address)
            content = answer.getvalue() if answer.streaming else answer.content
            yield f"{address} {answer.status_code}", content.decode()


def test_nothing_that_is_kept_or_shown_has_it(
    alice: User,
    acme: Organization,
    alice_api: APIClient,
    client_for: ClientFor,
    telling: None,
    data_dir: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    options = field("options", json.dumps({"password": PASSWORD}))
    job = accepted(alice_api, options, *FILES, **{"Idempotency-Key": "one"})
    again = post(alice_api, options, *FILES, **{"Idempotency-Key": "one"})
    browser = Browser(alice, acme)
    sent = browser.send(*OTHERS, password=PASSWORD)
    assert sent.status_code == 303, sent.content
    refused = browser.send(*OTHERS, password=PASSWORD, pages="none")
    assert refused.status_code == 400
    assert (job["has_password"], job["options"]["ocr"]) == (True, "auto")
    worker.work_off("default")

    assert BatchJob.objects.count() == 2
    ends = BatchFile.objects.order_by("job", "position").values_list("state", "error_code")
    assert list(ends) == 2 * [
        ("succeeded", ""),
        ("failed", "document.password"),
        ("retry_wait", "processor.error"),
    ]
    refusal = BatchFile.objects.filter(state="failed").first()
    assert refusal is not None
    assert refusal.error_detail == "It does not open with ***."
    trace = FileAttempt.objects.filter(code="processor.error").first()
    assert trace is not None
    assert "RuntimeError: cannot open with ***: Options(" in trace.traceback

    answers = {"accepted": json.dumps(job), "again": again.content.decode()}
    answers |= {"sent": str(sent.headers), "refused": refused.content.decode()}
    answers |= everything_shown(alice_api, [client_for(alice), superuser()])
    assert sum(address.endswith(" 200") for address in answers) > 20
    kept = [*everything_stored(data_dir), *answers.items()]
    kept += [("log", caplog.text), ("output", "".join(capfd.readouterr()))]
    assert any(job["id"].replace("-", "") in text.replace("-", "") for _, text in kept)
    assert [where for where, text in kept if PASSWORD in text] == []
    assert PASSWORD not in repr(Options(password=PASSWORD))


def test_without_the_key_that_sealed_it_the_file_says_so(
    acme: Organization, settings: Settings
) -> None:
    submit_files(acme, {"a.txt": b"read this"}, options=Options(password=PASSWORD))
    settings.SECRET_KEY = "another key that is as long as it must be"
    control = Control(report=lambda stage, share: None, should_stop=lambda: False)
    handler = BatchFileHandler()
    with pytest.raises(RunFailed) as failed:
        handler.run(claimed(), control)
    handler.close()
    failure = failed.value.failure
    assert (failure.code, failure.failure_class) == (
        "document.password_lost",
        FailureClass.PERMANENT,
    )
    assert failure.detail.endswith("Submit the file again.")
