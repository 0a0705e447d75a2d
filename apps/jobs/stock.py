"""What lies on disk against what the rows tell of: a walk that changes nothing.

Both are read in portions, so memory stays flat, and no more than WALK_LIMIT of each. What somebody
puts in place or removes meanwhile is looked at again under the blob's lock before it is told.
"""

import os
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.models import BatchFile, Blob, Checkpoint, FileResult
from apps.queue.findings import BROKEN, EXAMPLES, WEAK, Finding, Promise

PORTION = 1000
WALK_LIMIT = 2_000_000
"""Of blobs, newest first, and of files on disk."""
ORPHAN_SECONDS = 600.0
"""How long bytes may lie without a row: the transaction that stores it may be under way."""
JOBS_TOLD = 50
"""Jobs with lost bytes that are named."""

LOST = Promise(
    "lost bytes",
    BROKEN,
    "bytes are missing or cut short: mount the disk or restore a backup, or submit the jobs again.",
)
UNUSED = Promise(
    "unused rows",
    WEAK,
    "rows without bytes, left by a removal that was cut short: doctor --fix ends it.",
)
ORPHANS = Promise("orphan bytes", WEAK, "no row tells of these bytes: doctor --fix removes them.")
FOREIGN = Promise(
    "foreign bytes",
    WEAK,
    "their organization is not in this database: check DATABASE_URL and DOCMILL_DATA_DIR.",
)
PREVIEWS = Promise("orphan previews", WEAK, "their documents are gone: doctor --fix removes them.")
STALE = Promise("stale uploads", WEAK, "they never finished: doctor --fix removes them.")
UNSEEN = Promise(
    "walk", WEAK, "there is more than was looked at: the newest blobs were, and part of the disk."
)

User = tuple[UUID, UUID]
"""A file: its job's id and its own."""
Tell = Callable[[int], object]
"""Told how many blobs and files were looked at so far."""


def inspect(tell: Tell = lambda _: None) -> list[Finding]:
    """A finding for each promise of the bytes. Raises OSError when the disk cannot be read."""
    walk = _Walk(tell)
    found = [*_of_rows(walk), *_of_disk(walk), _previews(walk), _stale()]
    return [*found, UNSEEN.finding(walk.seen)] if walk.is_cut else found


def jobs_with_lost_bytes() -> list[UUID]:
    """Those that should be submitted again, at most JOBS_TOLD."""
    jobs: dict[UUID, None] = {}
    for _, users in missing(_Walk()):
        jobs.update(dict.fromkeys(job for job, _ in users))
        if len(jobs) >= JOBS_TOLD:
            break
    return list(jobs)[:JOBS_TOLD]


def remove_unused() -> int:
    """Removes rows without bytes that nothing refers to; how many."""
    unused = [pk for pk, users in missing(_Walk()) if not users]
    storage.release(unused)
    return len(unused)


class _Walk:
    """Counts what was looked at."""

    def __init__(self, tell: Tell = lambda _: None) -> None:
        self.seen = 0
        self.is_cut = False
        self._tell = tell

    def portions(self, items: Iterator[Any]) -> Iterator[list[Any]]:
        """`items` by PORTION, up to WALK_LIMIT."""
        left = WALK_LIMIT
        while portion := list(islice(items, min(PORTION, left))):
            left -= len(portion)
            self.seen += len(portion)
            yield portion
            self._tell(self.seen)
        self.is_cut |= not left


def _of_rows(walk: _Walk) -> list[Finding]:
    lost, unused, files = 0, 0, list[str]()
    for _, users in missing(walk):
        lost += bool(users)
        unused += not users
        files += [f"job {job} file {file}" for job, file in users[: EXAMPLES - len(files)]]
    return [LOST.finding(lost, files), UNUSED.finding(unused)]


def missing(walk: _Walk) -> Iterator[tuple[int, list[User]]]:
    """Blobs whose bytes are not there, or not all of them, with the files that need these."""
    for portion in walk.portions(_blobs()):
        suspects = [blob for blob in portion if _is_missing(blob)]
        pks = [blob.pk for blob in suspects if _is_missing_for_sure(blob)]
        users = _users(pks) if pks else {}
        # A checkpoint without its bytes is as good as none.
        kept = set(Checkpoint.objects.filter(content__in=pks).values_list("content", flat=True))
        yield from ((pk, users[pk]) for pk in pks if users[pk] or pk not in kept)


def _blobs() -> Iterator[Blob]:
    """All, newest first, by their keys: no cursor stays open."""
    below = Q()
    while portion := list(Blob.objects.filter(below).order_by("-pk")[:PORTION]):
        yield from portion
        below = Q(pk__lt=portion[-1].pk)


def _is_missing(blob: Blob) -> bool:
    try:
        return storage.path_of(blob).stat().st_size != blob.size_bytes
    except (FileNotFoundError, NotADirectoryError):
        return True


def _is_missing_for_sure(blob: Blob) -> bool:
    """The same when nobody puts them in place or removes them just now."""
    if not storage.path_of(blob).parent.parent.is_dir():
        return True  # all bytes of the organization: gone with the disk that they were on
    with transaction.atomic():
        locked = Blob.objects.select_for_update().filter(pk=blob.pk).first()
        return locked is not None and _is_missing(locked)


def _users(blobs: list[int]) -> dict[int, list[User]]:
    """The files that need the bytes: to be read or shown, or for what was read of them."""
    files = BatchFile.objects.filter(content__in=blobs).values_list("content", "job_id", "pk")
    results = FileResult.objects
    read = results.filter(content__in=blobs).values_list("content", "file__job_id", "file_id")
    drawn = results.filter(searchable__in=blobs).values_list(
        "searchable", "file__job_id", "file_id"
    )
    users: dict[int, list[User]] = {pk: [] for pk in blobs}
    for pk, job, file in chain(files, read, drawn):
        users[pk].append((job, file))
    return users


def _of_disk(walk: _Walk) -> list[Finding]:
    counts = {ORPHANS: 0, FOREIGN: 0}
    examples: dict[Promise, list[Path]] = {ORPHANS: [], FOREIGN: []}
    for folder in _entries(storage.blobs()):
        is_known = _is_organization(folder.name)
        promise = ORPHANS if is_known else FOREIGN
        for portion in walk.portions(_files_in(folder)):
            for path in _without_row(folder.name, portion) if is_known else portion:
                counts[promise] += 1
                if len(examples[promise]) < EXAMPLES:
                    examples[promise].append(path)
    return [promise.finding(count, examples[promise]) for promise, count in counts.items()]


def _is_organization(name: str) -> bool:
    try:
        return Organization.objects.filter(pk=UUID(hex=name)).exists()
    except ValueError:
        return False


def _without_row(organization: str, paths: list[Path]) -> list[Path]:
    """Those of its files that no row tells of and that have lain there for a while."""
    names = [path.name for path in paths]
    blobs = Blob.objects.filter(organization=UUID(hex=organization), sha256__in=names)
    known = set(blobs.values_list("sha256", flat=True))
    return [path for path in paths if path.name not in known and _has_lain(path)]


def _has_lain(path: Path) -> bool:
    """By when it was put there, not when it was written."""
    try:
        return path.stat().st_ctime < time.time() - ORPHAN_SECONDS
    except FileNotFoundError:
        return False


def _files_in(folder: Path) -> Iterator[Path]:
    for shelf in _entries(folder):
        yield from _entries(shelf)


def _entries(folder: Path) -> Iterator[Path]:
    """What is in the folder, also while it changes; nothing where it is none."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield Path(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return


def _previews(walk: _Walk) -> Finding:
    orphans: list[Path] = []
    count = 0
    pictures = (path for folder in _entries(storage.previews()) for path in _files_in(folder))
    for portion in walk.portions(pictures):
        for path in portion:
            document = storage.blobs() / path.relative_to(storage.previews())
            if not document.exists():
                count += 1
                orphans += [path][: EXAMPLES - len(orphans)]
    return PREVIEWS.finding(count, orphans)


def _stale() -> Finding:
    stale = storage.stale_uploads()
    return STALE.finding(len(stale), stale)
