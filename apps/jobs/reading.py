"""Finding a job or a file for whoever asks: outside their organization there is none."""

from uuid import UUID

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.jobs.models import BatchFile, BatchJob


def job_of(actor: Actor, job_id: UUID) -> BatchJob:
    """The job, with its creator. Raises NotFound outside the actor's organization."""
    jobs = BatchJob.objects.in_organization(actor.organization).select_related("created_by")
    job: BatchJob | None = jobs.filter(pk=job_id).first()
    if job is None:
        raise NotFound("There is no such job.")
    actor.require("read", "jobs", created_by_id=job.created_by_id)
    return job


def file_of(actor: Actor, file_id: UUID) -> BatchFile:
    """The file, with its job, bytes and result. Raises NotFound outside the organization."""
    files = BatchFile.objects.in_organization(actor.organization)
    file: BatchFile | None = (
        files.select_related("result__content", "result__searchable", "content", "job__created_by")
        .filter(pk=file_id)
        .first()
    )
    if file is None:
        raise NotFound("There is no such file.")
    actor.require("read", "jobs", created_by_id=file.job.created_by_id)
    return file
