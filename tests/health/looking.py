"""A service that lives and has work of every sort under way; what doctor finds wrong with it."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.health import promises
from apps.jobs import storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.jobs.services import cancel_job, pause_job, requeue_job, retry_job
from apps.queue import worker
from apps.queue.lanes import lane_names
from apps.queue.models import PeriodicRun
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import Scripted, claimed, failure_of, owner_of, submit
from tests.jobs.containers import submit_files


def look(*, is_quick: bool = False) -> promises.Findings:
    return promises.inspect(is_quick=is_quick, tell=lambda _: None)


def wrong(*, is_quick: bool = False) -> dict[str, tuple[str, int]]:
    """By the name of a finding that is not ok: its status and its count."""
    found = look(is_quick=is_quick)
    return {
        each.name: (each.status, each.count)
        for part in found.values()
        for each in part
        if each.status != "ok"
    }


def mend() -> dict[str, int]:
    return promises.mend(look())


def alive() -> None:
    """Beat has swept and a worker has shown itself just now."""
    PeriodicRun.objects.update_or_create(
        name="sweep", defaults={"started_at": Now(), "finished_at": Now()}
    )
    worker.register(lane_names(), 3)


def end_next(failure: FailureClass | None = None, **more: Any) -> BatchFile:
    """The best waiting file, which succeeds or fails so, run by this worker."""
    file = claimed(worker_id=worker.worker_id)
    if failure is None:
        assert succeed(BatchFileHandler, file, Scripted().read(f"of {file.pk}"))
    else:
        assert fail(BatchFileHandler, file, failure_of(failure, **more))
    return file


def under_load(acme: Organization) -> None:
    """Every sort of work that a living service may have under way."""
    alive()
    owner = owner_of(acme)
    partial = Scripted().read("the half").value
    submit_files(acme, files("ended", "locked", "crashed"))
    end_next()
    end_next(FailureClass.PERMANENT)
    end_next(FailureClass.CRASH)
    end_next(FailureClass.CRASH)
    submit_files(acme, files("ended"))  # a duplicate at birth
    retried = submit(acme, "retried")
    end_next(FailureClass.PERMANENT, output=partial)
    retry_job(actor=owner, job=retried)
    pause_job(actor=owner, job=retried, reason="Waits for the month's end.")
    again = submit(acme, "again")
    end_next()
    requeue_job(actor=owner, job=again)
    cancel_job(actor=owner, job=again)
    submit(acme, "too big")
    end_next(FailureClass.TRANSIENT, output=partial)
    cancelled = submit(acme, "cancelled")
    cancel_job(actor=owner, job=cancelled)
    running = submit_files(acme, files("runs", "waits", "is paused alone", "runs"))
    claimed(worker_id=worker.worker_id)
    [alone] = BatchFile.objects.filter(job=running, position=3)
    pause_job(actor=owner, job=running, only=[alone])
    submit_files(acme, files("runs"))  # follows the first of them, as the last does
    (storage.new_incoming_folder() / "half").write_bytes(b"an upload under")


def files(*texts: str) -> dict[str, bytes]:
    """Files with nothing but these bytes, which others may have too."""
    return {f"{number}.txt": text.encode() for number, text in enumerate(texts, 1)}


def age(model: Any, seconds: float, *fields: str) -> None:
    """Sets `fields` of all rows so long ago by the database's clock."""
    model.objects.update(**dict.fromkeys(fields, Now() - timedelta(seconds=seconds)))
