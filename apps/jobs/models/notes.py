"""What is written down beside jobs: where a file has got to, how runs ended, what is to be done to
many of them, and which request made which."""

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from apps.accounts.models import OrganizationOwned, OrganizationQuerySet, User
from apps.jobs.models.jobs import BatchJob
from apps.queue.models import WorkItem


class Completion(models.Model):
    """The end of a job's run: one row each, written by whoever closed the job, when it did."""

    job = models.ForeignKey(BatchJob, on_delete=models.CASCADE, related_name="completions")
    run = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12)
    counts = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "run"], name="one_completion_per_run")
        ]

    def __str__(self) -> str:
        return f"run {self.run} of {self.job_id}: {self.state}"


class BulkTarget(models.Model):
    """A row that a bulk action still has to deal with (see `bulk`): `row` is the id of a job, or of
    a file of `job`. No keys to them: they may be deleted meanwhile."""

    item = models.ForeignKey(WorkItem, on_delete=models.CASCADE, db_index=False)
    job = models.UUIDField()
    row = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["item", "job"], name="bulk_target_next")]

    def __str__(self) -> str:
        return str(self.row)


class IdempotencyKey(OrganizationOwned):
    """A submission's Idempotency-Key with its answer, written in the job's own transaction.

    So there is no moment in which a key is taken and its job is not there, and a killed process
    leaves no key behind.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    route = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    response = models.JSONField()
    job = models.ForeignKey(BatchJob, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[Any] = OrganizationQuerySet["IdempotencyKey"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "route", "key"], name="one_use_per_key"
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return self.key
