"""What lies on disk against what the rows tell of: a walk that changes nothing.

Both are read in portions, so memory stays flat, and no more than WALK_LIMIT of each. What somebody
puts in place or removes meanwhile is looked at again under the blob's lock before it is told.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs import leftovers, storage
from apps.jobs.models import BatchFile, Blob, Checkpoint, FileResult
from apps.jobs.places import Found, place
from apps.jobs.places.folder import entries
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
LEFT = Promise(
    "bytes left behind",
    BROKEN,
    "of the lost ones these are in the folder blobs: empty STORAGE_URL, run manage.py storage "
    "migrate --to the bucket, and set it again.",
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
UNSEEN = Promise("walk", WEAK, "there is more than was looked at, of rows or of files.")

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
    lost, unused, behind, files = 0, 0, 0, list[str]()
    for pk, users in missing(walk):
        lost += bool(users)
        if users and place().is_far:
            behind += any(storage.path_of(blob).exists() for blob in Blob.objects.filter(pk=pk))
        unused += not users
        files += [f"job {job} file {file}" for job, file in users[: EXAMPLES - len(files)]]
    return [LOST.finding(lost, files), LEFT.finding(behind), UNUSED.finding(unused)]


def missing(walk: _Walk) -> Iterator[tuple[int, list[User]]]:
    """Blobs whose bytes are not there, or not all of them, with the files that need these."""
    for portion in walk.portions(_blobs()):
        sizes = place().sizes([storage.key_of(blob) for blob in portion])
        suspects = [b for b in portion if sizes.get(storage.key_of(b)) != b.size_bytes]
        lost = [blob for blob in suspects if _is_missing_for_sure(blob)]
        pks = [blob.pk for blob in lost]
        users = _users(pks) if pks else {}
        # A checkpoint without its bytes is as good as none.
        kept = set(Checkpoint.objects.filter(content__in=pks).values_list("content", flat=True))
        # What nobody uses yet may be on its way to the bucket, or leaving it, at this moment.
        kept |= {blob.pk for blob in lost if place().is_far and _is_moving(blob)}
        yield from ((pk, users[pk]) for pk in pks if users[pk] or pk not in kept)


def _is_moving(blob: Blob) -> bool:
    lately = timezone.now() - timedelta(seconds=ORPHAN_SECONDS)
    return max(blob.created_at, blob.going_since or blob.created_at) > lately


def _blobs() -> Iterator[Blob]:
    """All, by their keys: no cursor stays open. Newest first, or in the order in which a bucket
    lists their bytes."""
    if place().is_far:
        for row in _in_portions(Organization.objects.order_by("pk"), "pk"):
            mine = Blob.objects.in_organization(row)
            yield from _in_portions(mine.order_by("sha256"), "sha256")
        return
    below = Q()
    while portion := list(Blob.objects.filter(below).order_by("-pk")[:PORTION]):
        yield from portion
        below = Q(pk__lt=portion[-1].pk)


def _in_portions(rows: QuerySet[Any], name: str) -> Iterator[Any]:
    """`rows`, which are in the order of the column `name`."""
    above = Q()
    while portion := list(rows.filter(above)[:PORTION]):
        yield from portion
        above = Q(**{f"{name}__gt": getattr(portion[-1], name)})


def _is_missing(blob: Blob) -> bool:
    return place().size(storage.key_of(blob)) != blob.size_bytes


def _is_missing_for_sure(blob: Blob) -> bool:
    """The same when nobody puts them in place or removes them just now."""
    key = storage.key_of(blob)
    if place().size(key) is None and not place().is_gone(key):
        return True  # all bytes of the organization: gone with the disk that they were on
    if place().is_far:  # nobody is to be asked far away with locks in hand; see `_is_moving`
        return _is_missing(blob) and Blob.objects.filter(pk=blob.pk).exists()
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
    examples: dict[Promise, list[str]] = {ORPHANS: [], FOREIGN: []}
    for name in place().organizations():
        is_known = _is_organization(name)
        promise = ORPHANS if is_known else FOREIGN
        for portion in walk.portions(place().found(name)):
            for found in _without_row(name, portion) if is_known else portion:
                counts[promise] += 1
                if len(examples[promise]) < EXAMPLES:
                    examples[promise].append(found.name)
    return [promise.finding(count, examples[promise]) for promise, count in counts.items()]


def _is_organization(name: str) -> bool:
    try:
        return Organization.objects.filter(pk=UUID(hex=name)).exists()
    except ValueError:
        return False


def _without_row(organization: str, found: list[Found]) -> list[Found]:
    """Those of its bytes that no row tells of and that have lain there for a while."""
    names = [each.key.sha256 for each in found if each.key is not None]
    blobs = Blob.objects.filter(organization=UUID(hex=organization), sha256__in=names)
    known = set(blobs.values_list("sha256", flat=True))
    lain = timezone.now() - timedelta(seconds=ORPHAN_SECONDS)
    return [
        each
        for each in found
        if (each.key is None or each.key.sha256 not in known) and each.since < lain
    ]


def _files_in(folder: Path) -> Iterator[Path]:
    for shelf in entries(folder):
        yield from entries(shelf)


def _previews(walk: _Walk) -> Finding:
    orphans: list[Path] = []
    count = 0
    pictures = (path for folder in entries(storage.previews()) for path in _files_in(folder))
    for portion in walk.portions(pictures):
        found = leftovers.orphans_among(portion)
        count += len(found)
        orphans += found[: EXAMPLES - len(orphans)]
    return PREVIEWS.finding(count, orphans)


def _stale() -> Finding:
    stale = leftovers.stale_uploads()
    return STALE.finding(len(stale), stale)
