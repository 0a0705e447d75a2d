"""Where bytes lie: content-addressed per organization, put in place and removed under a row lock.

`places` says where that is: the folder `blobs` of the data directory, or a bucket. What passes by
is on this machine's disk in either case: `incoming/<id>/` holds what is not yet acknowledged,
`uploads/<id>/` what there is of a file that comes in parts.
Pictures of the pages of a blob lie in the folder `previews/<organization>/<aa>/<sha256>/`, and go
with its bytes.
"""

import hashlib
import logging
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Organization
from apps.core.pool import give_back
from apps.jobs import keeping
from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.jobs.models import Blob
from apps.jobs.places import Key, place
from apps.jobs.places.folder import make_private
from apps.queue.inspection import id_ranges

logger = logging.getLogger(__name__)

RETRY_WHEN_FULL_SECONDS = 300
STALE_UPLOAD_SECONDS = 24 * 3600
SHELVES_OF = re.compile("[0-9a-f]{32}")
"""The name of an organization's folder, and of an upload's."""
RELEASED_TOGETHER = 50
LISTED_TOGETHER = 1000


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


def ask() -> str:
    """`disk` or `s3`, where it answers. Raises StorageUnavailable."""
    return place().ask()


def check() -> str:
    """What bytes are stored in, in words, where there is room and they can be written and read.
    Raises StorageFull, StorageUnavailable and OSError."""
    check_room(0)
    return place().check()


@contextmanager
def refusing_when_full() -> Iterator[None]:
    """Tells what cannot be written as StorageFull: a disk may fill while it is written to."""
    try:
        yield
    except StorageUnavailable:
        raise
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


def key_of(blob: Blob) -> Key:
    """What the bytes of `blob` are found by."""
    return Key(blob.organization_id, blob.sha256)


def path_of(blob: Blob) -> Path:
    """Where the bytes of `blob` lie, where they lie in a folder."""
    return blobs() / str(key_of(blob))


def is_there(blob: Blob) -> bool:
    """Whether there are the bytes, all of them. Raises StorageUnavailable, as all that ask do."""
    return place().size(key_of(blob)) == blob.size_bytes


def open_bytes(blob: Blob) -> BinaryIO:
    """The bytes, to be read from the beginning. Raises FileNotFoundError, also where they are cut
    short: half of a document must not pass for all of it."""
    if not is_there(blob):
        raise FileNotFoundError(f"the bytes {blob.sha256} are gone, or not all of them are there")
    return place().open(key_of(blob))


def read_bytes(blob: Blob) -> bytes:
    """All of them; of `blob` only the organization and the digest need be known. Raises
    FileNotFoundError."""
    with place().open(key_of(blob)) as content:
        found = content.read()
    if hashlib.sha256(found).hexdigest() != blob.sha256:
        raise FileNotFoundError(f"the bytes {blob.sha256} are not what was stored")
    return found


def link(blob: Blob, *, name: str, content_type: str) -> str | None:
    """An address from which the bytes may be fetched for a short while, to be saved as `name`; None
    where we send them."""
    return place().link(key_of(blob), name=name, content_type=content_type)


def local(blob: Blob) -> AbstractContextManager[Path]:
    """A file on this machine with the bytes, to be read only, for as long as the context is open.
    Raises FileNotFoundError, and StorageFull where they must be fetched and there is no room."""
    return place().local(key_of(blob))


def blobs() -> Path:
    """The folder of all bytes, where they lie in one."""
    return _root() / "blobs"


def previews() -> Path:
    """The folder of all pictures of pages, whether or not there is one."""
    return _root() / "previews"


def previews_of(blob: Blob) -> Path:
    """The folder for pictures of its pages, whether or not there is one."""
    return previews() / str(key_of(blob))


def partial_of(upload_id: uuid.UUID) -> Path:
    """The folder for the bytes of an upload that comes in parts, whether or not there are any."""
    return _root() / "uploads" / upload_id.hex


def remove_partial_on_commit(upload_ids: Iterable[uuid.UUID]) -> None:
    """Removes the bytes of uploads that are deleted in this transaction. What a killed process
    leaves of them goes with `leftovers.remove_stale_uploads`."""
    folders = [partial_of(pk) for pk in upload_ids]

    def remove() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    transaction.on_commit(remove, robust=True)


def is_gone(blob: Blob) -> bool:
    """Whether the bytes are missing for good: alone, and not with the disk they were on."""
    return place().is_gone(key_of(blob)) and not path_of(blob).exists()


def was_there(blob: Blob) -> bool:
    """Whether the bytes are there, or were when `look_at` looked: for whoever holds locks."""
    return place().was_there(key_of(blob))


def look_at(blob_ids: Iterable[int]) -> None:
    """Has `was_there` know of these bytes, where a bucket has to be asked. Outside of transactions.
    Raises StorageUnavailable."""
    if place().is_far:
        keys = [key_of(blob) for blob in Blob.objects.filter(pk__in=list(blob_ids))]
        give_back()
        place().look_at(keys)


@dataclass(frozen=True)
class Incoming:
    """Bytes that wait, synced, in the file `path`."""

    path: Path
    sha256: str
    size_bytes: int
    blob_id: int | None = None
    """The row of these bytes, where `bring` has seen them in place."""


def bring(organization: Organization, incoming: Iterable[Incoming]) -> list[Incoming]:
    """Has the bytes in place before the transaction that refers to them, where that takes a while:
    then nobody waits for a bucket with locks in hand. Not a promise: `put_all` is. Raises
    StorageUnavailable.

    Their rows come first. A removal is noted in the row before any bytes go, and takes the row with
    it: so bytes that were seen after the row are there as long as that is the same, without a note.
    """
    arrived = list(incoming)
    if not place().is_far or not arrived:
        return arrived
    sizes = {each.sha256: each.size_bytes for each in arrived}
    rows = [Blob(organization=organization, sha256=s, size_bytes=sizes[s]) for s in sorted(sizes)]
    Blob.objects.bulk_create(rows, ignore_conflicts=True)
    found = Blob.objects.in_organization(organization).filter(sha256__in=sizes, going_since=None)
    known = dict(found.values_list("sha256", "pk"))
    give_back()
    place().bring((Key(organization.pk, each.sha256), each.path) for each in arrived)
    return [replace(each, blob_id=known.get(each.sha256)) for each in arrived]


def put(organization: Organization, incoming: Incoming) -> Blob:
    """The blob of these bytes, now in place; see `put_all`."""
    return put_all(organization, [incoming])[incoming.sha256]


def put_all(organization: Organization, incoming: Iterable[Incoming]) -> dict[str, Blob]:
    """The blobs of all these bytes by their SHA-256, now in place.

    Call it in the transaction that stores the references. The blobs' rows are locked until then, so
    that `release` cannot remove the bytes in between. A bucket is asked here only for what was not
    brought, or was removed meanwhile.
    """
    arrived = list(incoming)
    sizes = {each.sha256: each.size_bytes for each in arrived}
    blobs = _locked(organization, sizes)
    place().put(
        (key_of(blobs[each.sha256]), each.path)
        for each in arrived
        if each.blob_id != blobs[each.sha256].pk or blobs[each.sha256].going_since
    )
    for blob in blobs.values():
        if blob.going_since:
            blob.going_since, blob.size_bytes = None, sizes[blob.sha256]
            blob.save(update_fields=["going_since", "size_bytes"])
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


def _release(ids: list[int], *, skip_locked: bool = False) -> tuple[list[Blob], set[int]]:
    """Those of the blobs that went, and the ids of all that were looked at."""
    if not place().is_far:
        return _remove_unused(ids, skip_locked=skip_locked)
    with transaction.atomic():
        unused, seen = _unused(ids, skip_locked=skip_locked)
        marked = [blob.pk for blob in unused]
        Blob.objects.filter(pk__in=marked).update(going_since=Now())
    gone, _ = _remove_unused(marked, skip_locked=skip_locked)
    return gone, seen


def _unused(ids: list[int], *, skip_locked: bool) -> tuple[list[Blob], set[int]]:
    """Those that nothing refers to, locked, and the ids of all that were looked at."""
    blobs = list(Blob.objects.select_for_update(skip_locked=skip_locked).filter(pk__in=ids))
    seen = {blob.pk for blob in blobs}
    unused = set(Blob.objects.filter(pk__in=seen).unused().values_list("pk", flat=True))
    return [blob for blob in blobs if blob.pk in unused], seen


@transaction.atomic
def _remove_unused(ids: list[int], *, skip_locked: bool) -> tuple[list[Blob], set[int]]:
    """The same of these blobs, whose bytes may go.

    With their rows locked, also where a bucket is asked, once for all of them and for seconds at
    most: were they let go before, somebody could put the same bytes in place just before they are
    removed. They are nobody's, so only who brings the same ones waits; and a backup that begins.
    """
    from apps.jobs import results  # it reads what is stored here

    gone, seen = _unused(ids, skip_locked=skip_locked)
    if place().is_far:  # one without a note was put in place again meanwhile
        gone = [blob for blob in gone if blob.going_since]
    Blob.objects.filter(pk__in=[blob.pk for blob in gone]).delete()
    if not keeping.is_asked_for():  # else `remove_orphans` finds them later
        place().remove(map(key_of, gone))
    for blob in gone:
        # After the bytes: who draws a page meanwhile looks for those at the end.
        shutil.rmtree(previews_of(blob), ignore_errors=True)
    results.forget(gone)
    return gone, seen


def release_on_commit(blob_ids: set[int]) -> None:
    """Releases them once the transaction is committed: one taken back must find its bytes."""
    transaction.on_commit(lambda: _release_all(blob_ids), robust=True)


def _release_all(blob_ids: set[int]) -> None:
    release(sorted(blob_ids))


def remove_orphans() -> int:
    """Removes bytes that no row tells of, and rows that nothing refers to; how many bytes went.

    Killed processes leave the one before the commit, the other before `release`.
    """
    from apps.jobs import leftovers  # it builds on this module

    removed = sum(_remove_orphans_of(name) for name in place().organizations())
    leftovers.remove_orphan_previews()
    since = timezone.now() - timedelta(seconds=STALE_UPLOAD_SECONDS)
    old = Blob.objects.filter(created_at__lt=since)
    for portion in id_ranges(old, LISTED_TOGETHER):
        unused = old.filter(portion).unused()
        removed += len(release(list(unused.values_list("pk", flat=True))))
    return removed


def _remove_orphans_of(name: str) -> int:
    """The same for one organization."""
    if not SHELVES_OF.fullmatch(name):
        return 0  # not ours: lost+found, say
    organization = Organization.objects.filter(pk=name).first()
    if organization is None:
        return 0
    removed = 0
    keys = (each.key for each in place().found(name) if each.key is not None)
    while portion := list(islice(keys, LISTED_TOGETHER)):
        blobs = Blob.objects.in_organization(organization)
        known = blobs.filter(sha256__in=[key.sha256 for key in portion])
        orphans = {key.sha256 for key in portion} - set(known.values_list("sha256", flat=True))
        removed += _remove_orphans(organization, sorted(orphans))
    return removed


def _remove_orphans(organization: Organization, orphans: list[str]) -> int:
    """Removes bytes that had no row just now; how many. They get one, with a note that they are
    about to go, and are released: a submission of the same bytes waits, or puts its own in place.
    """
    with transaction.atomic():
        if keeping.is_asked_for() or not orphans:
            return 0
    now = timezone.now()
    Blob.objects.bulk_create(
        [
            Blob(organization=organization, sha256=sha256, size_bytes=0, going_since=now)
            for sha256 in orphans
        ],
        ignore_conflicts=True,
    )
    mine = Blob.objects.in_organization(organization).filter(
        sha256__in=orphans, size_bytes=0, going_since=now
    )
    return len(release(list(mine.values_list("pk", flat=True))))
