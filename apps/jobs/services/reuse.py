"""The same bytes with the same operation and options in one organization are read once.

A file whose like succeeded before is a `duplicate` at birth, with a result row of its own over the
same bytes. One whose like waits or runs is held back and `waits_for` it: when that one succeeds it
becomes its duplicate, else it is read itself. What archives and mails bring along are files of
their own, so containers are read each time and what is in them is not.

Locks: only files are locked here, and a job's row after its file's, as everywhere.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from apps.jobs.models import CONTAINERS, BatchFile, BatchJob, Blob, FileResult
from apps.jobs.services.closing import count_end
from apps.jobs.states import DUPLICATE, JobState
from apps.processors import registry
from apps.processors.protocol import Options
from apps.queue.doorbell import ring_on_commit
from apps.queue.states import READY, UNFINISHED, State

logger = logging.getLogger(__name__)

REPAIR_BATCH = 200


def work_key(operation: str, options: Options, file: BatchFile) -> str:
    """A SHA-256 over all that a result depends on: bytes, operation, options, and which version of
    which processor reads it. Empty for what is never reused."""
    if file.kind in CONTAINERS:
        return ""
    path = registry.processor_path_for(operation, file.kind)
    parts = [
        file.sha256,
        file.kind,
        operation,
        options.to_json() | {"languages": options.languages or settings.OCR_LANGUAGES},
        salted_hmac("work_key", options.password, algorithm="sha256").hexdigest()
        if options.password
        else "",
        path,
        registry.processors()[path].version,
        settings.SEARCHABLE_PDF,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def find_originals(job: BatchJob, rows: Sequence[BatchFile]) -> None:
    """Makes duplicates or followers of those new `rows` whose like is there already, in storage or
    earlier among them.

    Call it once their bytes are in place: the locks on these order simultaneous submissions of the
    same ones, so that the second sees the first.
    """
    keys = {row.work_key for row in rows if row.work_key}
    if not keys:
        return
    alike = BatchFile.objects.in_organization(job.organization).filter(work_key__in=keys)
    read = _usable(alike.filter(state=State.SUCCEEDED))
    leaders = {
        file.work_key: file
        for file in alike.filter(state__in=UNFINISHED, is_held=False).only("pk", "work_key")
    }
    for row in rows:
        original = read.get(row.work_key)
        if not row.work_key:
            continue
        if original is not None:
            row.state, row.duplicate_of, row.progress = DUPLICATE, original, 1.0
            row.finished_at, row.is_held = job.created_at, False
        elif row.work_key in leaders:
            row.waits_for, row.is_held = leaders[row.work_key], True
        elif not row.is_held:
            leaders[row.work_key] = row


def _usable(files: QuerySet[BatchFile]) -> dict[str, BatchFile]:
    """By work key, those with a result; its bytes stay until the transaction ends."""
    found = {file.work_key: file for file in files.select_related("result")}
    wanted = {
        pk for file in found.values() if hasattr(file, "result") for pk in file.result.blob_ids
    }
    kept = set(_locked_blobs(wanted))
    return {
        key: file
        for key, file in found.items()
        if hasattr(file, "result") and file.result.blob_ids <= kept
    }


def _locked_blobs(wanted: Iterable[int]) -> list[int]:
    blobs = Blob.objects.select_for_update().filter(pk__in=list(wanted)).order_by("pk")
    return list(blobs.values_list("pk", flat=True))


def copy_results(rows: Sequence[BatchFile]) -> int:
    """Gives those of the stored `rows` that are duplicates a result like their original's; how many
    there are."""
    copies = [
        _copy(row.duplicate_of.result, row)
        for row in rows
        if row.state == DUPLICATE and row.duplicate_of is not None
    ]
    FileResult.objects.bulk_create(copies)
    return len(copies)


def _copy(result: FileResult, file: BatchFile) -> FileResult:
    fields = [
        "content_id",
        "searchable_id",
        "pages",
        "words",
        "language",
        "quality",
        "engine",
        "metadata",
        "warnings",
    ]
    return FileResult(file=file, run=file.run, **{name: getattr(result, name) for name in fields})


def follow_up_on_commit(leader_id: UUID) -> None:
    """Sees to those who wait for that file, once the transaction is committed: their jobs' rows
    must not be locked together with its job's. The sweep does it for a process that dies before."""
    transaction.on_commit(lambda: _follow_up_quietly(leader_id), robust=True)


def _follow_up_quietly(leader_id: UUID) -> None:
    follow_up(leader_id)


def follow_up(leader_id: UUID) -> int:
    """Sees to those who wait for that file: how many it made duplicates or let go."""
    waiting = list(_followers().filter(waits_for=leader_id).values_list("pk", flat=True))
    if not waiting:
        return 0
    leader = BatchFile.objects.select_related("result").get(pk=leader_id)
    if leader.state == State.SUCCEEDED and hasattr(leader, "result"):
        return sum(_become_duplicate(pk, leader) for pk in waiting)
    if leader.state == State.RUNNING or (leader.state in READY and not leader.is_held):
        return 0
    return _let_one_go(leader)


def _followers() -> QuerySet[BatchFile]:
    followers: QuerySet[BatchFile] = BatchFile.objects.filter(state__in=READY)
    return followers.exclude(waits_for=None)


@transaction.atomic
def _become_duplicate(pk: UUID, leader: BatchFile) -> bool:
    """False when it waits no more, or the result went meanwhile; then it is read itself."""
    file = _followers().select_for_update(of=("self",)).filter(pk=pk, waits_for=leader).first()
    if file is None:
        return False
    if set(_locked_blobs(leader.result.blob_ids)) != leader.result.blob_ids:
        _release(file)
        return False
    changes: dict[str, Any] = {"waits_for": None, "is_held": False, "progress": 1.0}
    BatchFile.objects.filter(pk=pk).update(
        state=DUPLICATE, duplicate_of=leader, finished_at=Now(), **changes
    )
    FileResult.objects.filter(file=file).delete()  # of an earlier run
    _copy(leader.result, file).save()
    count_end(file.job_id, DUPLICATE)
    return True


@transaction.atomic
def _let_one_go(leader: BatchFile) -> int:
    """The first of those who wait for `leader`, which did not succeed or is held, is read itself;
    the others, and a held leader too, wait for it."""
    locked = _followers().select_for_update(of=("self",)).filter(waits_for=leader)
    files = list(locked.order_by("id"))
    if not files:
        return 0
    first = min(files, key=lambda file: (_is_paused(file), file.priority, file.fair_rank, file.pk))
    if leader.state in READY and _is_paused(first):
        return 0  # nothing would be gained
    _release(first)
    others = [file.pk for file in files if file.pk != first.pk]
    BatchFile.objects.filter(pk__in=others).update(waits_for=first)
    BatchFile.objects.filter(pk=leader.pk, state__in=READY, is_held=True).update(waits_for=first)
    return 1


def _release(file: BatchFile) -> None:
    """It waits for no other any more; held only if its job is paused. Its row is locked."""
    BatchFile.objects.filter(pk=file.pk).update(waits_for=None, is_held=_is_paused(file))
    ring_on_commit(file.lane, 1)


def _is_paused(file: BatchFile) -> bool:
    return BatchJob.objects.filter(pk=file.job_id, state=JobState.PAUSED).exists()


def let_go_of(job: BatchJob) -> None:
    """Nobody waits for a file of `job` any more: it is about to go. In the caller's transaction."""
    waiting = _followers().filter(waits_for__job=job).exclude(job=job)
    for file in waiting.select_for_update(of=("self",)).order_by("id"):
        _release(file)


def repair() -> None:
    """Sees to those whose leader has ended or is held, and whom nobody saw to."""
    stuck = (
        _followers()
        .exclude(waits_for__state=State.RUNNING)
        .exclude(waits_for__state__in=READY, waits_for__is_held=False)
    )
    for leader_id in set(stuck.values_list("waits_for_id", flat=True)[:REPAIR_BATCH]):
        follow_up(leader_id)


def raise_leaders(rows: Iterable[BatchFile]) -> None:
    """A file that others wait for is as urgent as the most urgent of them."""
    for row in rows:
        if row.waits_for_id:
            BatchFile.objects.filter(
                pk=row.waits_for_id, state__in=READY, priority__gt=row.priority
            ).update(priority=row.priority)
