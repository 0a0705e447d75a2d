"""Work without a table of its own."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from apps.accounts.models import Organization
from apps.queue.models.rows import Attempt, LeasedRow, LeasedRowQuerySet
from apps.queue.states import UNFINISHED


class WorkItem(LeasedRow):
    """A piece of work without a table of its own: see `work_items`. `organization` is None for
    what belongs to nobody's; `title` and `reason` are for people, `result` is what came of it so
    far."""

    organization = models.ForeignKey(  # type: ignore[assignment]  # the base's is never None
        Organization, null=True, blank=True, on_delete=models.PROTECT
    )
    kind = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    reason = models.CharField(max_length=200, blank=True, default="")
    payload = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    dedupe_key = models.CharField(max_length=64, blank=True, default="")

    objects: ClassVar[Any] = LeasedRowQuerySet.as_manager()

    class Meta(LeasedRow.Meta):
        indexes = [
            *LeasedRow.Meta.indexes,
            models.Index(fields=["finished_at"], name="workitem_finished"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "dedupe_key"],
                condition=models.Q(state__in=sorted(UNFINISHED)) & ~models.Q(dedupe_key=""),
                name="one_unfinished_work_per_key",
            )
        ]

    def __str__(self) -> str:
        return self.title


class WorkAttempt(Attempt):
    row = models.ForeignKey(WorkItem, on_delete=models.CASCADE, related_name="attempts_made")

    def __str__(self) -> str:
        return f"{self.row_id} #{self.number}"
