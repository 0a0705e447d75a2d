"""What is known of workers, of recurring work, and of what ended."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.queue.recurring import Recurring, recurring


class WorkerNode(models.Model):
    """A worker since its start. The id is new at every start: a host name would outlive a crash."""

    id = models.UUIDField(primary_key=True)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    lanes = models.JSONField(default=list)
    slots = models.PositiveSmallIntegerField()
    version = models.CharField(max_length=32, blank=True, default="")
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    now: datetime  # where a query brings the database's time

    class Meta:
        verbose_name = "worker"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Throughput(models.Model):
    """How many attempts ended in the minute or the hour from `start`, and how many seconds they ran
    together. Counted from the attempts, and kept when they are gone: see `throughput`."""

    class Size(models.IntegerChoices):
        """In seconds."""

        MINUTE = 60
        HOUR = 3600

    size = models.PositiveSmallIntegerField(choices=Size)
    start = models.DateTimeField()
    attempts_of = models.CharField(max_length=64)  # the label of their model
    lane = models.CharField(max_length=16)
    outcome = models.CharField(max_length=12)
    count = models.PositiveIntegerField()
    seconds = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["size", "start", "attempts_of", "lane", "outcome"], name="one_throughput"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome} in {self.lane} from {self.start}"


RUN_LEASE = timedelta(minutes=1)
"""How long a run of recurring work is taken to be alive after its beat has last said so."""
SET_BACK = timedelta(seconds=5)
"""What lies further in the future than it can was written before the clock was set back. Nearer, it
may have been written while it was read: PostgreSQL takes the time before it looks at the rows."""


class PeriodicRunQuerySet(models.QuerySet["PeriodicRun"]):
    def scheduled(self) -> Self:
        """Those that the settings have, with the database's time in `now`."""
        return self.filter(pk__in=recurring()).annotate(now=Now())


class PeriodicRun(models.Model):
    """The latest run of a piece of recurring work. All times are by the database's clock.

    `runs` numbers them: who began one can tell that another has begun since.
    """

    name = models.CharField(primary_key=True, max_length=64)
    runs = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    requested_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    now: datetime

    objects: ClassVar[Any] = PeriodicRunQuerySet.as_manager()

    class Meta:
        verbose_name = "schedule"

    def __str__(self) -> str:
        return self.recurring.label

    @property
    def recurring(self) -> Recurring:
        return recurring()[self.name]

    @property
    def next_at(self) -> datetime | None:
        """When it is due again; None: at once."""
        if self.started_at is None or self.requested_at is not None:
            return None
        return self.started_at + self.recurring.every

    def is_running(self, now: datetime) -> bool:
        """Whether its beat has shown itself lately."""
        if self.finished_at is not None or self.lease_expires_at is None:
            return False
        return now < self.lease_expires_at <= now + RUN_LEASE + SET_BACK

    def was_cut_short(self, now: datetime) -> bool:
        """Whether it began and its beat died."""
        is_open = self.started_at is not None and self.finished_at is None
        return is_open and not self.is_running(now)

    def is_due(self, now: datetime) -> bool:
        if self.is_running(now):
            return False
        if self.next_at is None or self.was_cut_short(now):
            return True
        return not now < self.next_at <= now + self.recurring.every + SET_BACK

    def seconds_left(self, now: datetime) -> float:
        """How long what is not due now is not due for sure."""
        until = self.lease_expires_at if self.is_running(now) else self.next_at
        return max(0.0, (until - now).total_seconds()) if until else 0.0
