"""Rows that workers lease, what is known of lanes and workers, and when recurring work last ran."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Organization, OrganizationOwned, OrganizationQuerySet
from apps.core.ids import uuid7
from apps.queue.recurring import Recurring, recurring
from apps.queue.retry import Tally
from apps.queue.states import READY, UNFINISHED, State


class Priority(models.IntegerChoices):
    """Stored so that smaller goes first; the sweep moves what has waited long towards 0."""

    HIGH = 0, "high"
    NORMAL = 5, "normal"
    LOW = 9, "low"


PRIORITIES = {label: value for value, label in Priority.choices}
"""What callers write for a priority -> what is stored."""


IS_READY = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(READY)))
"""With the states as literals: for a list of parameters, SQLite uses no index of ready rows."""


class LeasedRowQuerySet(OrganizationQuerySet[Any]):
    def ready(self) -> Self:
        """What waits, held back or not. Found by the index of it, so joined to no other table."""
        return self.filter(RawSQL(IS_READY, (), models.BooleanField()))  # noqa: S611  our own names

    def claimable(self, lane: str) -> Self:
        """What a worker of `lane` may start now, best first: priority, fair rank, age."""
        return (
            self.ready()
            .filter(lane=lane, is_held=False, available_at__lte=Now())
            .order_by("priority", "fair_rank", "id")
        )

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


class Lane(models.Model):
    """What an operator has set for a lane; no row means the settings' defaults."""

    name = models.CharField(primary_key=True, max_length=16)
    max_running = models.PositiveSmallIntegerField(null=True, blank=True)
    max_running_per_organization = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "lane's limits"
        verbose_name_plural = "limits of lanes"

    def __str__(self) -> str:
        return self.name


class Board(Lane):
    """No rows of its own: who may see the board of the queue, and where the admin lists it."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = verbose_name_plural = "board"


class PauseQuerySet(models.QuerySet["Pause"]):
    def in_force(self) -> Self:
        """Those that have not run out, by the database's clock."""
        return self.filter(models.Q(until=None) | models.Q(until__gt=Now()))


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


def in_seconds(seconds: float) -> Any:
    """An expression for `seconds` from now by the database's clock."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )
