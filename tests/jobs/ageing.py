"""Jobs whose time is over, and what cleaning up tells."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job
from tests.batches import owner_of
from tests.batches import submit_exactly as submit
from tests.jobs.forms import stored
from tests.jobs.runs import read_next


def expired() -> Any:
    return BatchJob.objects.expired()


def expire(*jobs: BatchJob) -> None:
    """Their time is over; every job's for none."""
    ids = [job.pk for job in jobs] or BatchJob.objects.values("pk")
    BatchJob.objects.filter(pk__in=ids).update(expires_at=Now() - timedelta(minutes=1))


def read(organization: Organization, *texts: str) -> BatchJob:
    """A job that ended: each text read to a result that only it has."""
    job = submit(organization, *texts)
    while BatchFile.objects.filter(job=job, state="queued", waits_for=None).exists():
        read_next(f"what was read of {job.pk}")
    job.refresh_from_db()
    assert job.finished_at is not None
    return job


def on_disk(data_dir: Path) -> set[str]:
    return {Path(name).name for name in stored(data_dir / "blobs")}


def run(*arguments: object) -> dict[str, Any]:
    out = StringIO()
    call_command("cleanup", "--json", *map(str, arguments), stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def cancelled(organization: Organization, *texts: str) -> BatchJob:
    job = submit(organization, *texts)
    return cancel_job(actor=owner_of(organization), job=job)
