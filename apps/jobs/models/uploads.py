"""Uploads that come in parts, until a submission takes them."""

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import OrganizationOwned, OrganizationQuerySet, User
from apps.core.ids import uuid7


class UploadSessionQuerySet(OrganizationQuerySet["UploadSession"]):
    def live(self) -> Self:
        """Those whose time is not over, by the database's clock."""
        return self.filter(expires_at__gt=Now())

    def expired(self) -> Self:
        return self.filter(expires_at__lte=Now())

    def finished(self) -> Self:
        """Those of which every byte is stored."""
        return self.filter(offset_bytes=F("size_bytes"))


class UploadSession(OrganizationOwned):
    """A file that comes in parts (see `resumable`): its first `offset_bytes` are on disk, synced.

    It is one person's. `writer` is who adds to it now, or died over it; `stored_as` names the file
    of its bytes. Gone once a submission has taken it, and when its time is over.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    name = models.CharField(max_length=300)
    size_bytes = models.BigIntegerField()
    offset_bytes = models.BigIntegerField(default=0)
    writer = models.UUIDField(null=True, editable=False)
    stored_as = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    objects: ClassVar[Any] = UploadSessionQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="upload_expiry")]
        constraints = [
            models.CheckConstraint(
                condition=Q(offset_bytes__gte=0, offset_bytes__lte=F("size_bytes")),
                name="upload_offset_within_size",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_finished(self) -> bool:
        return bool(self.offset_bytes == self.size_bytes)
