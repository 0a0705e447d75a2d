"""Which backups were made."""

from typing import Any, ClassVar, Self

from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7


class BackupQuerySet(models.QuerySet["Backup"]):
    def latest_first(self) -> Self:
        return self.order_by("-finished_at")


class Backup(models.Model):
    """One that is whole. `at` is the moment that it is of, `path` where it was put on its machine;
    it may have been moved since."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    finished_at = models.DateTimeField(default=timezone.now)
    path = models.CharField(max_length=500)
    size_bytes = models.BigIntegerField()
    files = models.PositiveBigIntegerField()
    lost = models.PositiveBigIntegerField(default=0)
    has_bytes = models.BooleanField(default=True)

    objects: ClassVar[Any] = BackupQuerySet.as_manager()

    def __str__(self) -> str:
        return self.path
