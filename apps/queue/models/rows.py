"""The base of every row that workers lease, and of the attempts at it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import OrganizationOwned, OrganizationQuerySet
from apps.core.context import request_id_to_keep
from apps.core.ids import uuid7
from apps.core.tracing import LONGEST, traceparent_to_keep
from apps.queue.retry import Tally
from apps.queue.states import READY, UNFINISHED, State


class Priority(models.IntegerChoices):
    """Stored so that smaller goes first; the sweep moves what has waited long towards 0."""

    HIGH = 0, "high"
    NORMAL = 5, "normal"
    LOW = 9, "low"


PRIORITIES = {label: value for value, label in Priority.choices}
"""What callers write for a priority -> what is stored."""


def in_states(states: Iterable[str]) -> Any:
    """A condition that `state` is one of `states`, written into the statement: for parameters
    SQLite uses none of the indexes of rows in certain states."""
    literals = [f"'{state}'" for state in sorted(states)]
    test = f"IN ({', '.join(literals)})" if len(literals) > 1 else f"= {literals[0]}"
    return models.Func(
        models.F("state"), template=f"%(expressions)s {test}", output_field=models.BooleanField()
    )


def in_seconds(seconds: float) -> Any:
    """An expression for `seconds` from now by the database's clock."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )


class LeasedRowQuerySet(OrganizationQuerySet[Any]):
    def ready(self) -> Self:
        """What waits, held back or not."""
        return self.filter(in_states(READY))

    def claimable(self, lane: str) -> Self:
        """What a worker of `lane` may start now, best first: priority, fair rank, age."""
        return (
            self.ready()
            .filter(lane=lane, is_held=False, available_at__lte=Now())
            .order_by("priority", "fair_rank", "id")
        )

    def running(self) -> Self:
        return self.filter(in_states({State.RUNNING}))

    def unfinished(self) -> Self:
        return self.filter(state__in=UNFINISHED)

    def lost(self) -> Self:
        """Running rows whose lease has run out by the database's clock."""
        return self.running().filter(lease_expires_at__lt=Now())


class OfRequest(models.Model):
    """What a request put in line: its id is that of the one which did so last, for logs and errors,
    "" for nobody's."""

    request_id = models.CharField(
        max_length=64, blank=True, default=request_id_to_keep, db_default="", editable=False
    )

    class Meta:
        abstract = True


class LeasedRow(OrganizationOwned, OfRequest):
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
    traceparent = models.CharField(
        max_length=LONGEST, blank=True, default=traceparent_to_keep, db_default="", editable=False
    )

    objects: ClassVar[Any] = LeasedRowQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                fields=["lane", "priority", "fair_rank", "id"],
                name="%(class)s_ready",
                condition=models.Q(state__in=[State.QUEUED, State.RETRY_WAIT], is_held=False),
            ),
            # The same by organization, whose first row is found whatever stands before it.
            models.Index(
                fields=["lane", "organization", "priority", "fair_rank", "id"],
                name="%(class)s_lines",
                condition=models.Q(state__in=[State.QUEUED, State.RETRY_WAIT], is_held=False),
            ),
            models.Index(
                fields=["lane", "organization"],
                name="%(class)s_running",
                condition=models.Q(state=State.RUNNING),
            ),
            # Answers by itself what waits in each lane, since when, and what of it is held back.
            models.Index(
                fields=["lane", "state", "is_held", "available_at"],
                name="%(class)s_waiting",
                condition=models.Q(state__in=[State.QUEUED, State.RETRY_WAIT]),
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
        indexes = [
            models.Index(fields=["ended_at"], name="%(class)s_ended"),
            models.Index(fields=["worker_id", "id"], name="%(class)s_worker"),
        ]
