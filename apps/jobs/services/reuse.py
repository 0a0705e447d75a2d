"""The same bytes with the same operation and options in one organization are read once.

A file whose like succeeded before is a `duplicate` at birth, with a result row of its own over the
same bytes. One whose like waits or runs is held back and `waits_for` it: when that one succeeds it
becomes its duplicate, else it is read itself. What archives and mails bring along are files of
their own, so containers are read each time and what is in them is not.

Locks: only files are locked here, and a job's row after its file's, as everywhere.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet, Window
from django.db.models.functions import Now, RowNumber
from django.utils.crypto import salted_hmac

from apps.jobs import storage
from apps.jobs.models import CONTAINERS, BatchFile, BatchJob, Blob, FileResult
from apps.jobs.services.closing import count_end
from apps.jobs.states import DUPLICATE, JobState
from apps.processors import registry
from apps.processors.protocol import Options
from apps.queue.claim import stored
from apps.queue.doorbell import ring_on_commit
from apps.queue.states import READY, UNFINISHED, State

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
    read, leaders = _usable(_read(alike)), _about_to_be_read(alike)
    for row in rows:
        if not row.work_key:
            continue
        if (original := read.get(row.work_key)) is not None:
            row.state, row.duplicate_of, row.progress = DUPLICATE, original, 1.0
            row.finished_at, row.is_held = job.created_at, False
        elif row.work_key in leaders:
            row.waits_for, row.is_held = leaders[row.work_key], True
        elif not row.is_held:
            leaders[row.work_key] = row


def wait_for_likes(files: Sequence[BatchFile]) -> list[BatchFile]:
    """Of stored files that are about to be read, those that need to be: the others wait for their
    like, which was read or is going to be. The files are locked, and of one organization."""
    keys = {file.work_key for file in files if file.work_key}
    if not keys:
        return list(files)
    alike = BatchFile.objects.in_organization(files[0].organization).filter(work_key__in=keys)
    alike = alike.exclude(pk__in=[file.pk for file in files])
    known = _about_to_be_read(alike) | {file.work_key: file for file in _read(alike)}
    followers = []
    for file in files:
        if file.work_key and known.setdefault(file.work_key, file) is not file:
            file.waits_for, file.is_held = known[file.work_key], True
            followers.append(file)
    BatchFile.objects.bulk_update(followers, ["waits_for", "is_held"])
    raise_leaders(followers)
    follow_up_on_commit(*{file.waits_for_id for file in followers if file.waits_for_id})
    return [file for file in files if file not in followers]


def _about_to_be_read(alike: QuerySet[BatchFile]) -> dict[str, BatchFile]:
    """By work key, those that others can wait for."""
    files = alike.filter(state__in=UNFINISHED, is_held=False).only("pk", "work_key")
    return {file.work_key: file for file in files}


def _read(alike: QuerySet[BatchFile]) -> QuerySet[BatchFile]:
    """For each work key the newest that has a result; a duplicate counts once its original is gone,
    so that what was read is not read again."""
    newest = Window(RowNumber(), partition_by="work_key", order_by="-id")
    has_read = Q(state=State.SUCCEEDED) | Q(state=DUPLICATE, duplicate_of=None)
    found = alike.filter(has_read, result__isnull=False).annotate(place=newest).filter(place=1)
    read: QuerySet[BatchFile] = BatchFile.objects.filter(
        has_read, pk__in=list(found.values_list("pk", flat=True))
    )
    return read


def _usable(read: QuerySet[BatchFile]) -> dict[str, BatchFile]:
    """By work key, those whose result can be read. They and its bytes stay until the transaction
    ends: what refers to them is stored in it."""
    locked = read.select_for_update(of=("self",), no_key=True).select_related("result")
    found = [file for file in locked.order_by("pk") if hasattr(file, "result")]
    kept = _locked_blobs({pk for file in found for pk in file.result.blob_ids})
    return {file.work_key: file for file in found if file.result.blob_ids <= kept}


def _locked_blobs(wanted: Iterable[int]) -> set[int]:
    """Which of them are there, bytes and all."""
    blobs = Blob.objects.select_for_update().filter(pk__in=list(wanted)).order_by("pk")
    return {blob.pk for blob in blobs if not storage.is_gone(blob)}


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


def follow_up_on_commit(*leader_ids: UUID) -> None:
    """Sees to those who wait for these files, once the transaction is committed: their jobs' rows
    must not be locked together with a leader's. The sweep does it for a process that dies before.
    """
    if leader_ids:
        transaction.on_commit(lambda: _follow_up_if_any(leader_ids), robust=True)


def _follow_up_if_any(leader_ids: Sequence[UUID]) -> None:
    """Asks in plain SQL first: on the way of every file, and nearly none has followers."""
    places = ", ".join(["%s"] * len(leader_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {BatchFile._meta.db_table} "  # noqa: S608  (our own names)
            f"WHERE waits_for_id IN ({places}) LIMIT 1",
            [stored(leader_id) for leader_id in leader_ids],
        )
        is_any = cursor.fetchone() is not None
    if is_any:
        _follow_up_all(_stuck(*leader_ids))


def repair() -> None:
    """Sees to those whose leader has ended or is held, and whom nobody saw to."""
    _follow_up_all(_stuck()[:REPAIR_BATCH])


def _follow_up_all(stuck: QuerySet[BatchFile]) -> None:
    for leader_id in set(stuck.values_list("waits_for_id", flat=True)):
        follow_up(leader_id)


def _stuck(*leader_ids: UUID) -> QuerySet[BatchFile]:
    """Those who wait in vain, for whichever leader or one of these."""
    stuck = _followers()
    if leader_ids:
        stuck = stuck.filter(waits_for__in=leader_ids)
    # Where its own job is paused, a file gains nothing from taking the place of a held leader.
    return (
        stuck.exclude(waits_for__state=State.RUNNING)
        .exclude(waits_for__state__in=READY, waits_for__is_held=False)
        .exclude(waits_for__state__in=READY, waits_for__waits_for=None, job__state=JobState.PAUSED)
    )


def _followers() -> QuerySet[BatchFile]:
    followers: QuerySet[BatchFile] = BatchFile.objects.ready()
    return followers.exclude(waits_for=None)


def follow_up(leader_id: UUID) -> int:
    """Sees to those who wait for that file: how many it made duplicates or let go."""
    waiting = list(_followers().filter(waits_for=leader_id).values_list("pk", flat=True))
    leader = BatchFile.objects.select_related("result").filter(pk=leader_id).first()
    if not waiting or leader is None:
        return 0
    if leader.state in (State.SUCCEEDED, DUPLICATE) and hasattr(leader, "result"):
        done = sum(_become_duplicate(pk, leader) for pk in waiting)
        if done:
            return done
    return _let_one_go(leader_id)


@transaction.atomic
def _become_duplicate(pk: UUID, leader: BatchFile) -> bool:
    """False when it waits no more, or the result went meanwhile."""
    waiting = _followers().select_for_update(of=("self",), no_key=True)
    file = waiting.filter(pk=pk, waits_for=leader).first()
    if file is None or _locked_blobs(leader.result.blob_ids) != leader.result.blob_ids:
        return False
    changes: dict[str, Any] = {"waits_for": None, "is_held": False, "progress": 1.0}
    BatchFile.objects.filter(pk=pk).update(
        state=DUPLICATE,
        duplicate_of=leader.duplicate_of_id or leader.pk,
        finished_at=Now(),
        **changes,
    )
    FileResult.objects.filter(file=file).delete()  # of an earlier run
    _copy(leader.result, file).save()
    count_end(file.job_id, DUPLICATE)
    return True


@transaction.atomic
def _let_one_go(leader_id: UUID) -> int:
    """The first of those who wait for a leader which did not succeed, or is held, is read itself;
    the others, and a held leader too, wait for it."""
    waiting = _followers().select_for_update(of=("self",), no_key=True).filter(waits_for=leader_id)
    files = list(waiting.order_by("id"))
    if not files:
        return 0
    leader = BatchFile.objects.get(pk=leader_id)  # as it is now: it may have been run again
    if leader.state == State.RUNNING:
        return 0
    is_ready = leader.state in READY
    if is_ready and leader.waits_for_id:  # it gave its place away before they came
        return _wait_for(leader.waits_for_id, files)
    paused = _paused_jobs(files)
    first = min(files, key=lambda f: (f.job_id in paused, f.priority, f.fair_rank, f.pk))
    if is_ready and (not leader.is_held or first.job_id in paused):
        return 0  # nothing would be gained
    BatchFile.objects.filter(pk=first.pk).update(waits_for=None, is_held=first.job_id in paused)
    ring_on_commit(first.lane, 1)
    BatchFile.objects.filter(pk=leader_id, state__in=READY, is_held=True).update(waits_for=first)
    _wait_for(first.pk, [file for file in files if file is not first])
    return 1


def _wait_for(leader_id: UUID, files: Sequence[BatchFile]) -> int:
    BatchFile.objects.filter(pk__in=[file.pk for file in files]).update(waits_for=leader_id)
    follow_up_on_commit(leader_id)
    return 0


def _paused_jobs(files: Iterable[BatchFile]) -> set[UUID]:
    paused = BatchJob.objects.filter(pk__in={file.job_id for file in files}, state=JobState.PAUSED)
    return set(paused.values_list("pk", flat=True))


def let_go_of(job: BatchJob) -> None:
    """Nobody waits for a file of `job` any more: it is about to go. In the caller's transaction."""
    waiting = _followers().filter(waits_for__job=job).exclude(job=job)
    for leader_id in set(waiting.values_list("waits_for_id", flat=True)):
        _let_one_go(leader_id)


def raise_leaders(rows: Iterable[BatchFile]) -> None:
    """A file that others wait for is as urgent as the most urgent of them."""
    urgent: dict[int, set[UUID]] = {}
    for row in rows:
        if row.waits_for_id:
            urgent.setdefault(row.priority, set()).add(row.waits_for_id)
    for priority, leaders in urgent.items():
        BatchFile.objects.filter(pk__in=leaders, state__in=READY, priority__gt=priority).update(
            priority=priority
        )
