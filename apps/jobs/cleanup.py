"""What is old enough goes: jobs and exports past their time, keys of requests, sessions that ran
out, background work that ended, and the log of webhooks.

Everything goes in chunks, each a short transaction of its own. So a process that is killed has
removed some of it, and the next goes on; bytes that it left are found by `storage.remove_orphans`.
Any number may run at once: each looks again at what it has locked.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import QuerySet, Sum
from django.db.models.functions import Now

from apps.audit.services import record
from apps.core.transactions import LOST
from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob, Blob, BulkTarget, Export, IdempotencyKey
from apps.jobs.services.exporting import remove_exports
from apps.jobs.services.removing import lock_to_remove, remove_jobs, unlink_duplicates
from apps.jobs.services.submitting import KEY_KEPT_FOR
from apps.queue.models import WorkItem, in_states
from apps.queue.states import FINISHED
from apps.webhooks.models import Delivery

logger = logging.getLogger(__name__)

CHUNK_JOBS = 10
CHUNK_FILES = 100
"""Jobs are removed together up to these; one that has more files goes alone."""
CHUNK_ROWS = 1000
WORK_KEPT_FOR = timedelta(days=30)
"""How long background work that failed or was cancelled can still be gone on with."""
HELD = {*LOST, "55P03"}
"""PostgreSQL's codes for what another was quicker in, and for a lock that did not come in time."""


@dataclass(frozen=True)
class Gone:
    """Jobs, their files, and the bytes that lay on disk for nobody else."""

    jobs: int = 0
    files: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Gone") -> "Gone":
        return Gone(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def cleanup() -> None:
    """Removes all that is old enough; what is unfinished or kept stays."""
    gone = remove(BatchJob.objects.expired())
    exports = remove_old_exports()
    keys, sessions = remove_rows(old_keys()), remove_rows(old_sessions())
    work, messages = remove_work(old_work()), remove_rows(old_deliveries())
    told = "removed %s, %d exports, %d idempotency keys, %d sessions, "
    told += "%d pieces of background work, %d webhooks"
    logger.info(told, gone, exports, keys, sessions, work, messages)


def older_than(age: timedelta) -> QuerySet[BatchJob]:
    """Removable jobs that ended longer ago than that, whatever was promised of them."""
    jobs: QuerySet[BatchJob] = BatchJob.objects.removable().filter(finished_at__lt=Now() - age)
    return jobs.order_by("finished_at", "pk")


def would_go(jobs: QuerySet[BatchJob]) -> Gone:
    """What `remove` would remove now; changes nothing."""
    ids = jobs.values("pk")
    freed = Blob.objects.used_by_none_but(jobs).aggregate(total=Sum("size_bytes"))["total"]
    return Gone(jobs.count(), BatchFile.objects.filter(job__in=ids).count(), freed or 0)


def remove(
    jobs: QuerySet[BatchJob],
    *,
    limit: int | None = None,
    action: str = "job.expire",
    tell: Callable[[Gone], object] = lambda _: None,
) -> Gone:
    """Removes `jobs` in their order, at most `limit`; what went. `tell` is given each part of it,
    and the log says `action`.

    Jobs that somebody else holds on to are left for the next time.
    """
    gone, left, busy = Gone(), sys.maxsize if limit is None else limit, set[UUID]()
    while page := _page(jobs.exclude(pk__in=busy), min(left, CHUNK_ROWS)):
        left -= len(page)
        for ids in _chunks(page):
            try:
                part = _remove_chunk(jobs, ids, action)
            except (OperationalError, IntegrityError) as error:
                if getattr(error.__cause__, "sqlstate", "") not in HELD:
                    raise
                logger.warning("%d jobs are in use and stay for now (%s)", len(ids), error)
                busy.update(ids)
                continue
            gone += part
            tell(part)
    return gone


Row = tuple[UUID, UUID, int]
"""A job: its organization, its id, how many files it has."""


def _page(jobs: QuerySet[BatchJob], length: int) -> list[Row]:
    return list(jobs.values_list("organization_id", "pk", "total")[:length])


def _chunks(page: list[Row]) -> Iterator[list[UUID]]:
    """The ids of jobs that are removed together: of one organization, and not too many."""
    for _, rows in groupby(sorted(page), key=itemgetter(0)):
        yield from _portions(rows)


def _portions(rows: Iterable[Row]) -> Iterator[list[UUID]]:
    ids: list[UUID] = []
    files = 0
    for _, pk, total in rows:
        if ids and (len(ids) == CHUNK_JOBS or files + total > CHUNK_FILES):
            yield ids
            ids, files = [], 0
        ids.append(pk)
        files += total
    yield ids


def _remove_chunk(jobs: QuerySet[BatchJob], ids: list[UUID], action: str = "job.expire") -> Gone:
    unlink_duplicates(ids)
    with transaction.atomic():
        lock_to_remove(ids)
        # Under the lock: one of them may have been kept, retried or deleted meanwhile.
        found = list(jobs.filter(pk__in=ids).select_related("organization"))
        if not found:
            return Gone()
        removed = remove_jobs(found)
        record(
            organization=found[0].organization,
            actor=None,
            action=action,
            target="job",
            detail={
                "jobs": len(found),
                "files": removed.files,
                "ids": sorted(str(job.pk) for job in found),
            },
        )
    freed = storage.release(sorted(removed.blobs))
    return Gone(len(found), removed.files, sum(blob.size_bytes for blob in freed))


def old_exports() -> QuerySet[Export]:
    """Downloads whose time is over."""
    exports: QuerySet[Export] = Export.objects.expired()
    return exports


def remove_old_exports() -> int:
    """Deletes them with their bytes; how many."""
    removed = 0
    while ids := list(old_exports().values_list("pk", flat=True)[:CHUNK_FILES]):
        with transaction.atomic():
            # Once more past its time: somebody may have asked for it anew.
            blobs = remove_exports(old_exports().filter(pk__in=ids))
        storage.release(sorted(blobs))
        removed += len(ids)
    return removed


def old_keys() -> QuerySet[IdempotencyKey]:
    """Keys of requests that may be used anew."""
    keys: QuerySet[IdempotencyKey] = IdempotencyKey.objects.all()
    return keys.filter(created_at__lt=Now() - KEY_KEPT_FOR)


def old_sessions() -> QuerySet[Session]:
    """Sessions that sign nobody in any more."""
    return Session.objects.filter(expire_date__lt=Now())


def old_work() -> QuerySet[WorkItem]:
    """Background work that ended long ago. What came of it stays in the audit log."""
    work: QuerySet[WorkItem] = WorkItem.objects.filter(in_states(FINISHED))
    return work.filter(finished_at__lt=Now() - WORK_KEPT_FOR)


def old_deliveries() -> QuerySet[Delivery]:
    """Messages to endpoints that leave their log."""
    messages: QuerySet[Delivery] = Delivery.objects.old()
    return messages


def remove_work(work: QuerySet[WorkItem]) -> int:
    """Deletes `work`, its attempts, and what a bulk action among it did not get to; how many."""
    removed = 0
    work, last = work.order_by("pk"), UUID(int=0)
    while ids := list(work.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK_ROWS]):
        for pk in ids:
            removed += _remove_one(work, pk)
        last = ids[-1]
    return removed


def _remove_one(work: QuerySet[WorkItem], pk: UUID) -> bool:
    with transaction.atomic():
        # Under the lock: it may have been retried meanwhile.
        if work.select_for_update(of=("self",)).filter(pk=pk).first() is None:
            return False
        BulkTarget.objects.filter(item=pk).delete()
        WorkItem.objects.filter(pk=pk).delete()
        return True


def remove_rows(rows: QuerySet[Any]) -> int:
    """Deletes `rows`, with what refers to them; how many of them."""
    removed = 0
    while ids := list(rows.values_list("pk", flat=True)[:CHUNK_ROWS]):
        _, counts = rows.filter(pk__in=ids).delete()
        removed += counts.get(rows.model._meta.label, 0)
    return removed
