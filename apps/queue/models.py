"""Rows that workers lease, what is known of lanes and workers, and when recurring work last ran."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Organization, OrganizationOwned, OrganizationQuerySet
from apps.core.ids import uuid7
from apps.queue.retry import Tally
from apps.queue.states import READY, UNFINISHED, State


class Priority(models.IntegerChoices):
    """Stored so that smaller goes first; the sweep moves what has waited long towards 0."""

    HIGH = 0, "high"
    NORMAL = 5, "normal"
    LOW = 9, "low"


PRIORITIES = {label: value for value, label in Priority.choices}
"""What callers write for a priority -> what is stored."""


class LeasedRowQuerySet(OrganizationQuerySet[Any]):
    def claimable(self, lane: str) -> Self:
        """What a worker of `lane` may start now, best first: priority, fair rank, age."""
        return self.filter(
            lane=lane, state__in=READY, is_held=False, available_at__lte=Now()
        ).order_by("priority", "fair_rank", "id")

    def running(self) -> Self:
        return self.filter(state=State.RUNNING)

    def unfinished(self) -> Self:
        return self.filter(state__in=UNFINISHED)

    def lost(self) -> Self:
        """Running rows whose lease has run out by the database's clock."""
        return self.filter(state=State.RUNNING, lease_expires_at__lt=Now())


class LeasedRow(OrganizationOwned):
    """One piece of durable work. Only `apps.queue` moves it into and out of `running`.

    `lease_expires_at` is in no index on purpose: renewals then stay cheap (heap-only) updates on
    PostgreSQL, and the sweep reads the few running rows.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    lane = models.CharField(max_length=16)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    fair_rank = models.FloatField(default=0)
    state = models.CharField(max_length=12, default=State.QUEUED)
    is_held = models.BooleanField(default=False)
    available_at = models.DateTimeField(default=timezone.now)
    run = models.PositiveSmallIntegerField(default=1)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    losses = models.PositiveSmallIntegerField(default=0)
    is_heavy = models.BooleanField(default=False)
    cancel_requested = models.BooleanField(default=False)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    worker_id = models.UUIDField(null=True)
    stage = models.CharField(max_length=32, blank=True, default="")
    progress = models.FloatField(default=0)
    error_class = models.CharField(max_length=16, blank=True, default="")
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_detail = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = LeasedRowQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                fields=["lane", "priority", "fair_rank", "id"],
                name="%(class)s_ready",
                condition=models.Q(state__in=[State.QUEUED, State.RETRY_WAIT], is_held=False),
            ),
            models.Index(
                fields=["lane", "organization"],
                name="%(class)s_running",
                condition=models.Q(state=State.RUNNING),
            ),
        ]

    @property
    def tally(self) -> Tally:
        return Tally(self.failures, self.crashes, self.losses, self.is_heavy)


class Attempt(models.Model):
    """One execution of a row: written at the claim, closed once, never changed afterwards.

    A subclass adds `row`, a foreign key to its leased row.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField()
    lease_token = models.UUIDField(unique=True)
    worker_id = models.UUIDField()
    lane = models.CharField(max_length=16)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, blank=True, default="")
    failure_class = models.CharField(max_length=16, blank=True, default="")
    code = models.CharField(max_length=64, blank=True, default="")
    detail = models.CharField(max_length=500, blank=True, default="")
    traceback = models.TextField(blank=True, default="")
    stage = models.CharField(max_length=32, blank=True, default="")
    peak_rss_bytes = models.BigIntegerField(default=0)
    cpu_seconds = models.FloatField(default=0)

    objects: ClassVar[models.Manager[Any]]

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["ended_at"], name="%(class)s_ended")]


class Lane(models.Model):
    """What an operator has set for a lane; no row means the settings' defaults."""

    name = models.CharField(primary_key=True, max_length=16)
    max_running = models.PositiveSmallIntegerField(null=True, blank=True)
    max_running_per_organization = models.PositiveSmallIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class PauseQuerySet(models.QuerySet["Pause"]):
    def in_force(self) -> Self:
        """Those that have not run out, by the database's clock."""
        return self.filter(models.Q(until=None) | models.Q(until__gt=Now()))

    def concerning(self, organization_ids: Iterable[UUID]) -> Self:
        """Those in force that hold back any of these organizations, the widest first."""
        theirs = models.Q(organization=None) | models.Q(organization__in=list(organization_ids))
        nobodys_first = models.F("organization").asc(nulls_first=True)
        return self.in_force().filter(theirs).order_by(nobodys_first, "lane")


class Pause(models.Model):
    """Nothing new is claimed from `lane` ("" for every one) for `organization` (None for all).

    Who paused it and why is shown wherever its absence would puzzle somebody. The engine's own
    (`paused_by` None) end by themselves at `until`.
    """

    lane = models.CharField(max_length=16, blank=True, default="")
    organization = models.ForeignKey(Organization, null=True, on_delete=models.CASCADE)
    reason = models.CharField(max_length=200, blank=True, default="")
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, blank=True)

    objects = PauseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lane", "organization"],
                condition=models.Q(organization__isnull=False),
                name="one_pause_per_organization",
            ),
            models.UniqueConstraint(
                fields=["lane"],
                condition=models.Q(organization__isnull=True),
                name="one_pause_per_lane",
            ),
        ]

    def __str__(self) -> str:
        lane = f"lane {self.lane}" if self.lane else "every lane"
        return lane if self.organization_id is None else f"{lane} of {self.organization_id}"


class FairShare(models.Model):
    """The rank that an organization's latest row of a lane was given (start-time fair queuing)."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    lane = models.CharField(max_length=16)
    last_rank = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lane", "organization"], name="one_share_per_lane")
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} in {self.lane}"


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

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class PeriodicRun(models.Model):
    """The latest run of a piece of recurring work; `slot` numbers its due times."""

    name = models.CharField(primary_key=True, max_length=64)
    slot = models.BigIntegerField(default=-1)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")

    def __str__(self) -> str:
        return self.name


def in_seconds(seconds: float) -> Any:
    """An expression for `seconds` from now by the database's clock."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )
