"""Downloads that are built in the background."""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import OrganizationOwned, OrganizationQuerySet, User
from apps.core.ids import uuid7
from apps.jobs.models.jobs import BatchJob, Blob
from apps.queue.models import WorkItem
from apps.queue.states import UNFINISHED, State

BUILT = "ready"


class ExportQuerySet(OrganizationQuerySet["Export"]):
    def ready(self) -> Self:
        """Those that can be fetched now."""
        return self.filter(expires_at__gt=Now(), content__isnull=False)

    def expired(self) -> Self:
        """Those whose time is over, built or not, by the database's clock."""
        return self.filter(expires_at__lt=Now())


class Export(OrganizationOwned):
    """Results of `jobs` in one format, as they were when they were read for it.

    `item` is the work that builds it. `fingerprint`, `is_complete` and `content`, its bytes, are
    set together once these are all there. It goes with any of its jobs.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    format = models.CharField(max_length=16)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(max_length=300)
    is_complete = models.BooleanField(default=False)
    jobs = models.ManyToManyField(BatchJob, related_name="exports")
    item = models.ForeignKey(WorkItem, null=True, on_delete=models.SET_NULL, related_name="+")
    content = models.ForeignKey(Blob, null=True, on_delete=models.PROTECT, related_name="exports")
    created_at = models.DateTimeField(default=timezone.now)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    objects: ClassVar[Any] = ExportQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="export_list"),
            models.Index(fields=["organization", "fingerprint"], name="export_of_contents"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """`ready`, or that of the work: queued, running, retry_wait, failed, quarantined or
        cancelled."""
        if self.content_id is not None:
            return BUILT
        return self.item.state if self.item is not None else str(State.FAILED)

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self.content_id is not None:
            return 1.0
        return float(self.item.progress) if self.item is not None else 0.0

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at <= now
