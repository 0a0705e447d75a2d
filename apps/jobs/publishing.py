"""What is told to the outside of jobs and files: ids, states and addresses, no text of documents.

In the transaction of what is told.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.states import JobState
from apps.queue.states import State
from apps.webhooks.outbox import publish


def publish_job_end(job: BatchJob, state: JobState) -> None:
    """The job closed, and is written as `state` already."""
    publish(
        organization=Organization(pk=job.organization_id),
        event=f"batch_job.{state}",
        key=f"{job.pk} {job.run}",
        # The first address that a worker makes loads the table of them all, which takes a second.
        data=lambda: _job(job, state),
    )


def publish_file_end(file: BatchFile) -> None:
    """The file left `running`; only that it was set aside is told."""
    if file.state != State.QUARANTINED:
        return
    publish(
        organization=Organization(pk=file.organization_id),
        event="batch_file.quarantined",
        key=f"{file.pk} {file.run}",
        data={
            "id": str(file.pk),
            "job_id": str(file.job_id),
            "name": file.name,
            "state": file.state,
            "error": {
                "code": file.error_code,
                "class": file.error_class,
                "detail": file.error_detail,
            },
            "url": _address("file", file_id=file.pk),
            "job_url": _address("job", job_id=file.job_id),
        },
    )


def _job(job: BatchJob, state: JobState) -> dict[str, Any]:
    return {
        "id": str(job.pk),
        "name": job.name,
        "operation": job.operation,
        "state": state,
        "run": job.run,
        "counts": {"total": job.total, **job.counts, "duplicate": job.duplicates},
        "created_at": job.created_at.isoformat(),
        "expires_at": job.expires_at.isoformat(),
        "url": _address("job", job_id=job.pk),
        "files_url": _address("job-files", job_id=job.pk),
        "results_url": _address("job-results-ndjson", job_id=job.pk),
    }


def _address(route: str, **arguments: UUID) -> str:
    return f"{settings.PUBLIC_URL}{reverse(route, kwargs=arguments)}"
