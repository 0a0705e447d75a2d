"""Jobs, their files, every attempt at them, their results, and the bytes all of this rests on."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import (
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.accounts.models import OrganizationOwned, OrganizationQuerySet, User
from apps.core.ids import uuid7
from apps.jobs.progress import FAR
from apps.jobs.states import CLOSED, COUNTED, FILE_STATES, OPEN, READ, JobState
from apps.processors.kinds import KINDS
from apps.queue.models import (
    Attempt,
    LeasedRow,
    LeasedRowQuerySet,
    OfRequest,
    Pause,
    Priority,
    in_states,
)
from apps.queue.states import UNFINISHED, State

CONTAINERS = frozenset(kind.name for kind in KINDS.values() if kind.family in ("archive", "mail"))
"""The kinds that other documents are found in."""

LATELY = timedelta(seconds=10)


def expiry() -> datetime:
    """When the results of a job that is submitted or ends now may be removed."""
    return timezone.now() + timedelta(days=settings.RESULT_RETENTION_DAYS)


class BlobQuerySet(OrganizationQuerySet["Blob"]):
    def unused(self) -> Self:
        """Those that nothing refers to."""
        return self.filter(
            files=None, results=None, searchable_results=None, checkpoints=None, exports=None
        )

    def used_by_none_but(self, jobs: QuerySet["BatchJob"]) -> Self:
        """Blobs that `jobs` use, and nothing else does."""
        # They build on this module.
        from apps.jobs.models.exports import Export
        from apps.jobs.models.results import Checkpoint, FileResult

        ids = jobs.values("pk")
        uses: list[tuple[QuerySet[Any], str, str]] = [
            (BatchFile.objects.all(), "job__in", "content"),
            (FileResult.objects.all(), "file__job__in", "content"),
            (FileResult.objects.all(), "file__job__in", "searchable"),
            (Checkpoint.objects.all(), "file__job__in", "content"),
            (Export.objects.exclude(content=None), "jobs__in", "content"),
        ]
        mine = (Q(pk__in=rows.filter(**{owner: ids}).values(field)) for rows, owner, field in uses)
        others = (
            Exists(rows.filter(**{field: OuterRef("pk")}).exclude(**{owner: ids}))
            for rows, owner, field in uses
        )
        return self.filter(reduce(or_, mine)).exclude(reduce(or_, others))


class Blob(OrganizationOwned):
    """Bytes of one organization, stored once under their SHA-256.

    Its row is the lock under which the bytes are put in place and removed: see `storage`.
    """

    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    going_since = models.DateTimeField(null=True)
    """When their removal from a bucket began: they may be gone, until somebody puts them back."""

    objects: ClassVar[Any] = BlobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "sha256"], name="one_blob_per_content")
        ]

    def __str__(self) -> str:
        return self.sha256


class Mark(NamedTuple):
    """By which to see that a job has changed."""

    pk: UUID
    organization_id: UUID
    revision: int
    state: str


class BatchJobQuerySet(OrganizationQuerySet["BatchJob"]):
    def open(self) -> QuerySet["BatchJob"]:
        return self.filter(in_states(OPEN))

    def removable(self) -> QuerySet["BatchJob"]:
        """Jobs that have ended, and that nobody keeps."""
        return self.filter(state__in=CLOSED, is_kept=False)

    def expired(self) -> QuerySet["BatchJob"]:
        """Those whose time is over, by the database's clock; what expired first comes first."""
        return self.removable().filter(expires_at__lt=Now()).order_by("expires_at", "pk")

    def live(self) -> QuerySet["BatchJob", dict[str, Any]]:
        """Of each job: `pk`, `total`, and its files by state; `begun`, the sum of the progress
        (0..1 each) of those that have not ended; `floor`, what is shown at least. Of this run:
        `read`, how many were read to an end; `followers`, how many wait for another file; `held`,
        how many somebody holds back; `next_try`, when the last may be tried again.

        Containers are left out of `begun`: what one holds, and so how much of the job it is, is
        known at its end only.
        """
        read = BatchFile.objects.filter(
            job=OuterRef("pk"), state__in=READ, finished_at__gte=OuterRef("started_at")
        )
        follows = Q(open_file__waits_for__isnull=False)
        rows: QuerySet[BatchJob, dict[str, Any]] = (
            self.order_by()
            .annotate(open_file=FilteredRelation("files", condition=Q(files__state__in=UNFINISHED)))
            .values("pk", "total", *COUNTED, duplicate=F("duplicates"), floor=F("progress_floor"))
            .annotate(
                **{
                    state: Count("open_file", filter=Q(open_file__state=state))
                    for state in UNFINISHED
                },
                begun=Coalesce(
                    Sum("open_file__progress", filter=~Q(open_file__kind__in=CONTAINERS)), 0.0
                ),
                followers=Count("open_file", filter=follows),
                held=Count("open_file", filter=Q(open_file__is_held=True) & ~follows),
                next_try=Max(
                    "open_file__available_at", filter=Q(open_file__state=State.RETRY_WAIT)
                ),
                read=Coalesce(Subquery(read.values("job").annotate(n=Count("pk")).values("n")), 0),
            )
        )
        return rows

    def marks(
        self, ids: Iterable[UUID], *, organizations: Iterable[UUID], said: Iterable[UUID]
    ) -> dict[UUID, Mark]:
        """What to tell by whether anything has changed: of the jobs `ids`, and in `organizations`
        of what is open, has ended within LATELY, or is in `said`. One query, and none for none."""
        ids, organizations = list(ids), list(organizations)
        theirs = self.filter(organization__in=organizations)
        lately = Now() - LATELY
        parts = [self.filter(pk__in=ids)] if ids else []
        if organizations:
            parts += [
                theirs.filter(in_states(OPEN)),
                theirs.filter(state__in=sorted(CLOSED), finished_at__gt=lately),
                theirs.filter(pk__in=list(said)),
            ]
        rows = [
            part.order_by().values_list("pk", "organization_id", "revision", "state")
            for part in parts
        ]
        if not rows:
            return {}
        return {row[0]: Mark(*row) for row in rows[0].union(*rows[1:], all=True)}


class BatchJob(OrganizationOwned, OfRequest):
    """One submission. Its counters change in the transaction that ends a file, nowhere else."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    name = models.CharField(max_length=200, blank=True, default="")
    operation = models.CharField(max_length=32)
    options = models.JSONField(default=dict)
    sealed_password = models.TextField(blank=True, default="", editable=False)  # core.sealing
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    state = models.CharField(
        max_length=12, choices=[(s, s) for s in JobState], default=JobState.QUEUED
    )
    run = models.PositiveSmallIntegerField(default=1)
    revision = models.PositiveBigIntegerField(default=1)
    total = models.PositiveSmallIntegerField()
    succeeded = models.PositiveSmallIntegerField(default=0)
    failed = models.PositiveSmallIntegerField(default=0)
    quarantined = models.PositiveSmallIntegerField(default=0)
    cancelled = models.PositiveSmallIntegerField(default=0)
    rejected = models.PositiveSmallIntegerField(default=0)
    duplicates = models.PositiveSmallIntegerField(default=0)  # of the succeeded
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(default=expiry)
    # What it showed when files were added last: progress is never shown lower than this.
    progress_floor = models.FloatField(default=0.0)
    # Who paused it last, why and when; how long it was paused before, in this run.
    paused_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    pause_reason = models.CharField(max_length=200, blank=True, default="")
    paused_at = models.DateTimeField(null=True)
    paused_seconds = models.FloatField(default=0.0)
    is_kept = models.BooleanField(default=False)  # from cleanup, until somebody lets go of it
    discarded_at = models.DateTimeField(null=True)  # its failure needs nobody any more

    objects: ClassVar[Any] = BatchJobQuerySet.as_manager()

    class Meta:
        indexes = [
            # What lists filter by stands in it too: rare jobs are found without reading the others.
            models.Index(
                fields=["organization", "-created_at", "-id", "state", "operation"],
                name="job_list",
            ),
            models.Index(fields=["organization", "state", "-finished_at"], name="job_ended"),
            models.Index(
                fields=["created_at"], name="job_open", condition=Q(state__in=sorted(OPEN))
            ),
            models.Index(fields=["is_kept", "expires_at", "id"], name="job_expiry"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)

    @property
    def counts(self) -> dict[str, int]:
        """Ended files by state; those that are duplicates count among the succeeded."""
        return {state: getattr(self, state) for state in COUNTED}

    @property
    def finished_count(self) -> int:
        return sum(self.counts.values())


class BatchFileQuerySet(LeasedRowQuerySet):
    def in_line(self) -> Self:
        """Those that start as soon as there is a free slot: no pause holds them back."""
        waiting = self.ready().filter(is_held=False, available_at__lte=Now())
        for pause in Pause.objects.in_force():
            if not pause.lane and pause.organization_id is None:
                return waiting.none()
            of_lane = Q(lane=pause.lane) if pause.lane else Q()
            of_organization = Q(organization=pause.organization_id)
            held = of_lane & of_organization if pause.organization_id else of_lane
            waiting = waiting.exclude(held)
        return waiting

    def waiting_before(self, jobs: Iterable[BatchJob]) -> dict[UUID, int]:
        """For each of `jobs` that is in line: how many files of its lane stand before its first,
        counted up to `FAR`.

        Two queries and one for each lane that they are in, however many jobs; none where all have
        ended.
        """
        still_open = [job.pk for job in jobs if job.state in OPEN]
        if not still_open:
            return {}
        waiting = self.in_line()
        mine = waiting.filter(job__in=still_open)
        places = mine.order_by("-priority", "-fair_rank", "-id").values_list(
            "job_id", "lane", "priority", "fair_rank"
        )
        first = {job_id: (lane, place) for job_id, lane, *place in places}  # the last is the best
        lines = {
            lane: waiting.front_of(lane) for lane in sorted({lane for lane, _ in first.values()})
        }
        return {
            job_id: bisect_left(lines[lane], tuple(place))
            for job_id, (lane, place) in first.items()
        }

    def front_of(self, lane: str) -> list[tuple[int, float]]:
        """(priority, fair rank) of the first `FAR` of these in that lane, in their order."""
        line = self.filter(lane=lane).order_by("priority", "fair_rank", "id")
        return list(line.values_list("priority", "fair_rank")[:FAR])


class BatchFile(LeasedRow):
    """One document of a job: submitted, or found in the file `parent` (`depth` containers deep)."""

    job = models.ForeignKey(BatchJob, on_delete=models.CASCADE, related_name="files")
    parent = models.ForeignKey(
        "self", null=True, on_delete=models.CASCADE, related_name="members", db_index=False
    )
    depth = models.PositiveSmallIntegerField(default=0)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=300)
    kind = models.CharField(max_length=16, blank=True, default="")
    content_type = models.CharField(max_length=100, blank=True, default="")
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    content = models.ForeignKey(Blob, null=True, on_delete=models.PROTECT, related_name="files")
    # What makes two files the same work (see `reuse`); the one whose end this one waits for; and
    # the one whose result it has.
    work_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    waits_for = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="followers", db_index=False
    )
    duplicate_of = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="duplicates"
    )

    objects: ClassVar[Any] = BatchFileQuerySet.as_manager()

    class Meta(LeasedRow.Meta):
        indexes = [
            *LeasedRow.Meta.indexes,
            models.Index(fields=["sha256"], name="file_by_content"),  # the admin looks them up
            # Of all, though some have none: SQLite would not see that it may use a partial one.
            models.Index(fields=["organization", "work_key"], name="file_by_likeness"),
            # Instead of the foreign key's: most have none, by which SQLite would take it for one
            # that tells nothing.
            models.Index(
                fields=["parent", "position"],
                name="file_members",
                condition=Q(parent__isnull=False),
            ),
            # What operators look for; PostgreSQL alone sees that it may use it for one of them.
            models.Index(
                fields=["state", "-id"],
                name="file_ended_badly",
                condition=Q(state__in=["cancelled", "failed", "quarantined", "rejected"]),
            ),
            # Instead of the foreign key's: nearly none wait, and the sweep reads all that do.
            models.Index(
                fields=["waits_for"], name="file_follows", condition=Q(waits_for__isnull=False)
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job", "position"], name="one_file_per_position"),
            models.CheckConstraint(
                condition=Q(state__in=sorted(FILE_STATES)), name="file_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="running", lease_token__isnull=True),
                name="running_has_lease",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FileAttempt(Attempt):
    row = models.ForeignKey(BatchFile, on_delete=models.CASCADE, related_name="attempts_made")

    def __str__(self) -> str:
        return f"{self.row_id} #{self.number}"
