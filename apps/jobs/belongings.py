"""What jobs keep of organizations and people."""

from collections.abc import Iterator
from typing import ClassVar

from django.db import transaction
from django.db.models import Model

from apps.accounts.belongings import Belongings, Row
from apps.accounts.models import Organization, User
from apps.jobs import leftovers, storage
from apps.jobs.cleanup import remove, remove_rows
from apps.jobs.models import BatchFile, BatchJob, Blob, Export, IdempotencyKey, UploadSession
from apps.jobs.services.exporting import remove_exports
from apps.jobs.services.uploading import remove_upload
from apps.jobs.states import CLOSED

CHUNK = 1000
TOLD = (
    "id",
    "organization_id",
    "name",
    "operation",
    "state",
    "total",
    "created_at",
    "finished_at",
    "expires_at",
)
EXPORT_TOLD = ("id", "organization_id", "format", "name", "created_at", "expires_at")
COUNTED = 100
"""Open jobs that are counted; beyond it there are many."""


class JobBelongings(Belongings):
    models: ClassVar[tuple[type[Model], ...]] = (
        BatchJob,
        BatchFile,
        Blob,
        Export,
        IdempotencyKey,
        UploadSession,
    )

    def hindrance(self, organization: Organization) -> str:
        jobs = BatchJob.objects.in_organization(organization).open()
        count = jobs.order_by()[: COUNTED + 1].count()
        if not count:
            return ""
        told = "1 job is" if count == 1 else f"{count} jobs are"
        told = f"more than {COUNTED} jobs are" if count > COUNTED else told
        return f"{told} not finished. Cancel what runs, or wait for it."

    def remove(self, organization: Organization) -> None:
        """Everything by what removes it elsewhere, with its bytes; then bytes that nothing refers
        to, and the folders they were in."""
        _remove_exports(organization)
        _remove_uploads(organization)
        jobs = BatchJob.objects.in_organization(organization)
        remove(jobs.filter(state__in=CLOSED).order_by("pk"), action="job.delete")
        remove_rows(IdempotencyKey.objects.in_organization(organization))
        blobs = Blob.objects.in_organization(organization)
        storage.release(list(blobs.unused().values_list("pk", flat=True)))
        if not blobs.exists():
            leftovers.remove_all_of(organization)

    def of_person(self, user: User) -> Iterator[tuple[str, Iterator[Row]]]:
        made = BatchJob.objects.filter(created_by=user).order_by("pk")
        yield "jobs", made.values(*TOLD).iterator(CHUNK)
        exports = Export.objects.filter(created_by=user).order_by("pk")
        yield "exports", exports.values(*EXPORT_TOLD).iterator(CHUNK)


def _remove_exports(organization: Organization) -> None:
    exports = Export.objects.in_organization(organization).order_by("pk")
    while ids := list(exports.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            blobs = remove_exports(Export.objects.filter(pk__in=ids))
        storage.release(sorted(blobs))


def _remove_uploads(organization: Organization) -> None:
    for upload in UploadSession.objects.in_organization(organization):
        with transaction.atomic():
            remove_upload(upload)
