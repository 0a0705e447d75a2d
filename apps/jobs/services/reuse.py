"""The same bytes with the same operation and options in one organization are read once.

A file whose like succeeded before is a `duplicate` at birth, with a result row of its own over the
same bytes. One whose like waits or runs is held back and `waits_for` it: see `following`. What
archives and mails bring along are files of their own, so containers are read each time and what is
in them is not.

Locks: bytes, then files, then a job. The row of a file's bytes orders all who bring, let go or
delete the same ones.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.crypto import salted_hmac

from apps.jobs import storage
from apps.jobs.models import CONTAINERS, BatchFile, BatchJob, Blob, FileResult
from apps.jobs.places import place
from apps.jobs.states import DUPLICATE
from apps.processors import registry
from apps.processors.protocol import Options
from apps.queue.states import UNFINISHED, State

READ = (State.SUCCEEDED, DUPLICATE)
"""States of files that have a whole result."""


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
    known = likes_of(rows)
    for row in rows:
        like = known.get(row.work_key)
        if not row.work_key:
            continue
        if like is not None and like.state in READ:
            row.state, row.duplicate_of, row.progress = DUPLICATE, like, 1.0
            row.finished_at, row.is_held = job.created_at, False
        elif like is not None:
            row.waits_for, row.is_held = like, True
        elif not row.is_held:
            known[row.work_key] = row


def lock_bytes(files: QuerySet[BatchFile]) -> None:
    """Before the files themselves are locked, and wait for their like: who deletes that one has the
    same bytes locked. Else a file could wait for one that is about to go, and be held for ever."""
    contents = Blob.objects.select_for_update(no_key=True).filter(pk__in=files.values("content"))
    list(contents.order_by("sha256").values_list("pk"))


def likes_of(files: Sequence[BatchFile]) -> dict[str, BatchFile]:
    """By work key, other files of the organization that were read, with their `result`, or that are
    about to be. The bytes of the results stay until the transaction ends."""
    keys = {file.work_key for file in files if file.work_key}
    if not keys:
        return {}
    alike = BatchFile.objects.filter(organization=files[0].organization_id, work_key__in=keys)
    alike = alike.exclude(pk__in=[file.pk for file in files])
    # In this order: one that ends in between is seen at least once.
    return _about_to_be_read(alike) | _read(alike)


def look_ahead(organization_id: UUID, keys: Collection[str]) -> None:
    """Looks whether what was read of these is in storage, before a transaction that asks for it
    with locks in hand: a bucket may be slow. Raises StorageUnavailable."""
    keys = {key for key in keys if key}
    if not keys or not place().is_far:
        return
    alike = BatchFile.objects.filter(organization=organization_id, work_key__in=keys)
    storage.look_at(pk for file in _newest(alike) for pk in file.result.blob_ids)


def _about_to_be_read(alike: QuerySet[BatchFile]) -> dict[str, BatchFile]:
    files = alike.filter(state__in=UNFINISHED, is_held=False).only("pk", "work_key", "state")
    return {file.work_key: file for file in files}


def _read(alike: QuerySet[BatchFile]) -> dict[str, BatchFile]:
    """The newest of each; a duplicate counts once its original is gone, so that what was read is
    not read again."""
    files = _newest(alike)
    there = present({pk for file in files for pk in file.result.blob_ids})
    return {file.work_key: file for file in files if file.result.blob_ids <= there}


def _newest(alike: QuerySet[BatchFile]) -> list[BatchFile]:
    newest = Window(RowNumber(), partition_by="work_key", order_by="-id")
    has_read = Q(state=State.SUCCEEDED) | Q(state=DUPLICATE, duplicate_of=None)
    found = alike.filter(has_read, result__isnull=False).annotate(place=newest).filter(place=1)
    return list(found.select_related("result"))


def present(wanted: Iterable[int]) -> set[int]:
    """Which of these blobs are there, bytes and all; they stay until the transaction ends."""
    blobs = Blob.objects.select_for_update(no_key=True).filter(pk__in=list(wanted)).order_by("pk")
    return {blob.pk for blob in blobs if storage.was_there(blob)}


def copy_results(rows: Sequence[BatchFile]) -> int:
    """Gives those of the stored `rows` that are duplicates a result like their original's; how many
    there are."""
    copies = [
        copy_of(row.duplicate_of.result, row)
        for row in rows
        if row.state == DUPLICATE and row.duplicate_of is not None
    ]
    FileResult.objects.bulk_create(copies)
    return len(copies)


def copy_of(result: FileResult, file: BatchFile) -> FileResult:
    """A result of `file` over the same bytes; not stored yet."""
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
