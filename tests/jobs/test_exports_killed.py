"""A worker that is killed in the middle of an export: another builds it, once."""

import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.accounts.models import Organization
from apps.audit.models import AuditEntry
from apps.jobs import storage
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchJob, Blob, Export
from apps.jobs.services.exporting import request_export
from apps.queue.models import WorkAttempt, WorkItem
from apps.queue.states import State
from tests.batches import check_bytes, owner_of, submit
from tests.jobs.runs import read_next
from tests.processes import Process, eventually

pytestmark = pytest.mark.django_db(transaction=True)

WORK = ("work", "--loop", "--lanes", "export", "--slots", "1")
SETTINGS = {"LEASE_SECONDS": "2", "LEASE_RENEW_SECONDS": "0.5", "SWEEP_SECONDS": "0.2"}
FILES = 12
CHARACTERS = 2_000_000


def noise(characters: int) -> str:
    """Text that packs badly, so that packing takes time."""
    return random.Random(7).randbytes(characters // 2).hex()


def half_written(data_dir: Path) -> bool:
    return any(path.stat().st_size > 1_000_000 for path in data_dir.glob("incoming/*/export"))


@pytest.mark.usefixtures("roomy")
def test_it_is_built_once(
    acme: Organization, data_dir: Path, manage: Callable[..., Process]
) -> None:
    submit(acme, *map(str, range(FILES)))
    for _ in range(FILES):
        read_next(noise(CHARACTERS))
    job = BatchJob.objects.get()
    export = request_export(actor=owner_of(acme), jobs=[job], made=FORMATS["zip"])
    own = {**SETTINGS, "DOCMILL_DATA_DIR": str(data_dir), "REDIS_URL": ""}
    first = manage(*WORK, env=own)
    first.wait_for(lambda: half_written(data_dir), seconds=60)
    first.kill()
    assert Export.objects.get().content is None
    assert WorkItem.objects.get().state == State.RUNNING
    manage(*WORK, env=own)
    eventually(lambda: WorkItem.objects.get().state == State.SUCCEEDED, seconds=60)
    export = Export.objects.get(pk=export.pk)
    assert export.content is not None
    attempts = WorkAttempt.objects.order_by("number").values_list("outcome", "failure_class")
    assert list(attempts) == [("retry", "lost"), ("succeeded", "")]
    assert AuditEntry.objects.filter(action="jobs.export").count() == 1
    assert Blob.objects.exclude(exports=None).count() == 1
    with zipfile.ZipFile(storage.path_of(export.content)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert all(
            archive.read(line["text"]).decode() == noise(CHARACTERS) for line in manifest["files"]
        )
    # What the dead one left is swept up like an upload that broke off.
    assert half_written(data_dir)
    check_bytes()
