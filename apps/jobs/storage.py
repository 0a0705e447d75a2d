"""Where bytes lie: content-addressed per organization, put in place and removed under a row lock.

`incoming/<id>/` holds what is not yet acknowledged; `blobs/<organization>/<aa>/<sha256>` the rest.
Pictures of the pages of a blob lie in the folder `previews/<organization>/<aa>/<sha256>/`, and go
with its bytes.
"""

import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.errors import StorageFull
from apps.jobs.models import Blob

logger = logging.getLogger(__name__)

RETRY_WHEN_FULL_SECONDS = 300
STALE_UPLOAD_SECONDS = 24 * 3600
SHELVES_OF = re.compile("[0-9a-f]{32}")
"""The name of an organization's folder."""
RELEASED_TOGETHER = 50


def _root() -> Path:
    return Path(settings.DOCMILL_DATA_DIR)


def check_room(expected_bytes: int) -> None:
    """Raises StorageFull when storing `expected_bytes` would leave too little of the disk free."""
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(root)
    floor = max(
        settings.STORAGE_MIN_FREE_BYTES, usage.total * settings.STORAGE_MIN_FREE_PERCENT // 100
    )
    if usage.free - expected_bytes < floor:
        raise StorageFull(
            "The disk is nearly full. Nothing was stored; try again later.",
            retry_after=RETRY_WHEN_FULL_SECONDS,
        )


@contextmanager
def refusing_when_full() -> Iterator[None]:
    """Tells what cannot be written as StorageFull: a disk may fill while it is written to."""
    try:
        yield
    except OSError as error:
        logger.error("cannot write to storage: %s", error)
        raise StorageFull(
            f"The files could not be stored ({error.strerror}). Nothing was kept; try again later.",
            retry_after=RETRY_WHEN_FULL_SECONDS,
        ) from error


@contextmanager
def incoming() -> Iterator[Path]:
    """A private directory for bytes that are not acknowledged yet; gone at the end."""
    directory = new_incoming_folder()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def new_incoming_folder() -> Path:
    """A private directory for bytes that one process writes and puts in place soon, or removes."""
    directory = _root() / "incoming" / uuid.uuid4().hex
    make_private(directory)
    return directory


def path_of(blob: Blob) -> Path:
    """Where the bytes of `blob` lie."""
    sha256: str = blob.sha256
    return blobs() / blob.organization_id.hex / sha256[:2] / sha256


def blobs() -> Path:
    """The folder of all bytes, whether or not there are any."""
    return _root() / "blobs"


def previews() -> Path:
    """The folder of all pictures of pages, whether or not there is one."""
    return _root() / "previews"


def previews_of(blob: Blob) -> Path:
    """The folder for pictures of its pages, whether or not there is one."""
    return previews() / path_of(blob).relative_to(blobs())


def is_gone(blob: Blob) -> bool:
    """Whether the bytes are missing for good: alone, and not with the disk they were on."""
    path = path_of(blob)
    return not path.exists() and path.parent.parent.is_dir()


@dataclass(frozen=True)
class Incoming:
    """Bytes that wait, synced, in the file `path`."""

    path: Path
    sha256: str
    size_bytes: int


def put(organization: Organization, incoming: Incoming) -> Blob:
    """The blob of these bytes, now in place; see `put_all`."""
    return put_all(organization, [incoming])[incoming.sha256]


def put_all(organization: Organization, incoming: Iterable[Incoming]) -> dict[str, Blob]:
    """The blobs of all these bytes by their SHA-256, now in place.

    Call it in the transaction that stores the references. The blobs' rows are locked until then, so
    that `release` cannot remove the bytes in between. A file is renamed into place even if one is
    there: a crash in `release` may have left a row without its bytes.
    """
    arrived = list(incoming)
    blobs = _locked(organization, {each.sha256: each.size_bytes for each in arrived})
    shelves = set()
    for each in arrived:
        target = path_of(blobs[each.sha256])
        make_private(target.parent)
        # A transaction that was rolled back and is repeated finds its bytes in place already.
        if each.path.exists() or not target.exists():
            each.path.rename(target)
        shelves.add(target.parent)
    for shelf in shelves:
        sync_directory(shelf)
    return blobs


def _locked(organization: Organization, sizes: Mapping[str, int]) -> dict[str, Blob]:
    """Rows for these contents (SHA-256 -> bytes), locked, made where there are none. In one order
    everywhere, so that two submissions cannot deadlock."""
    blobs: dict[str, Blob] = {}
    while len(blobs) < len(sizes):  # one may be released between the two statements
        missing = sorted(set(sizes) - set(blobs))
        rows = [Blob(organization=organization, sha256=s, size_bytes=sizes[s]) for s in missing]
        Blob.objects.bulk_create(rows, ignore_conflicts=True)
        # Not against references to it: who has one must be able to commit meanwhile.
        found = Blob.objects.in_organization(organization).filter(sha256__in=missing)
        locked = found.select_for_update(no_key=True).order_by("sha256")
        blobs |= {blob.sha256: blob for blob in locked}
    return blobs


def make_private(directory: Path) -> None:
    """Makes `directory` and what is missing above it, for this user only, its name synced."""
    if directory.is_dir():
        return
    make_private(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def release(blob_ids: Iterable[int]) -> list[Blob]:
    """Removes the bytes of those blobs that nothing refers to any more; those that went."""
    ids = list(blob_ids)
    removed, busy = [], []
    for first in range(0, len(ids), RELEASED_TOGETHER):
        portion = ids[first : first + RELEASED_TOGETHER]
        # Who holds several waits for none: a submission may hold one and wait for another.
        gone, seen = _release(portion, skip_locked=True)
        removed += gone
        busy += [pk for pk in portion if pk not in seen]
    for pk in busy:
        removed += _release([pk])[0]
    return removed


@transaction.atomic
def _release(ids: list[int], *, skip_locked: bool = False) -> tuple[list[Blob], set[int]]:
    """Those of the blobs that went, and the ids of all that were looked at."""
    blobs = list(Blob.objects.select_for_update(skip_locked=skip_locked).filter(pk__in=ids))
    seen = {blob.pk for blob in blobs}
    unused = set(Blob.objects.filter(pk__in=seen).unused().values_list("pk", flat=True))
    gone = [blob for blob in blobs if blob.pk in unused]
    Blob.objects.filter(pk__in=unused).delete()
    for blob in gone:
        path_of(blob).unlink(missing_ok=True)
        # After the bytes: who draws a page meanwhile looks for those at the end.
        shutil.rmtree(previews_of(blob), ignore_errors=True)
    return gone, seen


def release_on_commit(blob_ids: set[int]) -> None:
    """Releases them once the transaction is committed: one taken back must find its bytes."""
    transaction.on_commit(lambda: _release_all(blob_ids), robust=True)


def _release_all(blob_ids: set[int]) -> None:
    release(sorted(blob_ids))


def remove_orphans() -> int:
    """Removes bytes that no row tells of, and rows that nothing refers to; how many bytes went.

    Killed processes leave the one between putting bytes in place and the commit, the other between
    the deletion of a job and `release`.
    """
    removed = sum(_remove_orphans_in(shelf) for shelf in blobs().glob("*/*"))
    remove_orphan_previews()
    since = timezone.now() - timedelta(seconds=STALE_UPLOAD_SECONDS)
    unused = Blob.objects.filter(created_at__lt=since).unused()
    return removed + len(release(list(unused.values_list("pk", flat=True))))


def remove_orphan_previews() -> int:
    """Removes pictures of bytes that are gone; of how many."""
    removed = 0
    for folder in previews().glob("*/*/*"):
        if not (blobs() / folder.relative_to(previews())).exists():
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _remove_orphans_in(shelf: Path) -> int:
    """The same for one directory `blobs/<organization>/<aa>`."""
    if not SHELVES_OF.fullmatch(shelf.parent.name):
        return 0  # not ours: lost+found, say
    organization = Organization.objects.filter(pk=shelf.parent.name).first()
    if organization is None:
        return 0
    names = {path.name for path in shelf.iterdir()}
    blobs = Blob.objects.in_organization(organization).filter(sha256__in=names)
    orphans = names - set(blobs.values_list("sha256", flat=True))
    for name in orphans:
        with transaction.atomic():
            # Holding the row: a submission of the same bytes waits, then puts its own in place.
            blob, is_mine = Blob.objects.get_or_create(
                organization=organization, sha256=name, defaults={"size_bytes": 0}
            )
            if is_mine:
                (shelf / name).unlink(missing_ok=True)
                blob.delete()
    return len(orphans)


def _is_older(path: Path, moment: float) -> bool:
    """Whether `path` was last changed before `moment`; no when its upload has ended since."""
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False


def stale_uploads() -> list[Path]:
    """What killed processes left in `incoming` a day ago or earlier."""
    too_old = time.time() - STALE_UPLOAD_SECONDS
    return [path for path in (_root() / "incoming").glob("*") if _is_older(path, too_old)]


def remove_stale_uploads() -> int:
    """Removes them; how many uploads."""
    stale = stale_uploads()
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(stale)
