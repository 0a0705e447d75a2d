"""Finding a job, a file or an export for whoever asks: outside their organization there is none."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.jobs.models import BatchFile, BatchJob, Export, UploadSession


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


def jobs_of(actor: Actor, job_ids: Sequence[UUID]) -> list[BatchJob]:
    """These jobs, in that order. Raises NotFound when any is not in the actor's organization."""
    actor.require("read", "jobs")
    found = BatchJob.objects.in_organization(actor.organization).in_bulk(list(job_ids))
    if len(found) < len(job_ids):
        raise NotFound("There is no such job.")
    return [found[job_id] for job_id in job_ids]


def export_of(actor: Actor, export_id: UUID) -> Export:
    """The export, with its work and bytes. Raises NotFound outside the actor's organization."""
    exports = Export.objects.in_organization(actor.organization)
    export: Export | None = exports.select_related("item", "content").filter(pk=export_id).first()
    if export is None:
        raise NotFound("There is no such export.")
    actor.require("read", "exports", created_by_id=export.created_by_id)
    return export


def uploads_of(actor: Actor) -> QuerySet[UploadSession]:
    """The actor's own uploads in parts, which nobody else sees."""
    uploads: QuerySet[UploadSession] = UploadSession.objects.live().filter(
        organization=actor.organization, user=actor.user
    )
    return uploads


def upload_of(actor: Actor, upload_id: UUID) -> UploadSession:
    """The upload in parts. Raises NotFound where there is none of the actor's own."""
    upload = uploads_of(actor).filter(pk=upload_id).first()
    if upload is None:
        raise NotFound("There is no such upload.")
    actor.require("create", "jobs")
    return upload
