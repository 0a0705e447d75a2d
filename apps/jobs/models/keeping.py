"""While a backup is made no bytes go."""

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.core.ids import uuid7


class KeptBytesQuerySet(models.QuerySet[Any]):
    def in_force(self) -> Self:
        """By the database's clock."""
        return self.filter(until__gt=Now())


class KeptBytes(models.Model):
    """Somebody needs all bytes that there are now `until` then: see `jobs.keeping`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    until = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[Any] = KeptBytesQuerySet.as_manager()

    def __str__(self) -> str:
        return f"until {self.until:%Y-%m-%d %H:%M:%S}"
