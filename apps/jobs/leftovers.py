"""What is of no use any more and has no row to say so: uploads that killed processes left, pictures
of pages whose bytes are gone, and the bytes of an organization that has gone."""

import shutil
import time
import uuid
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.accounts.models import Organization
from apps.jobs import keeping, storage
from apps.jobs.models import Blob, UploadSession
from apps.jobs.places import Key, place
from apps.jobs.storage import SHELVES_OF


def remove_orphan_previews() -> int:
    """Removes pictures of bytes that are gone; of how many."""
    removed = 0
    folders = storage.previews().glob("*/*/*")
    while portion := list(islice(folders, storage.LISTED_TOGETHER)):
        for folder in orphans_among(portion):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def orphans_among(folders: Iterable[Path]) -> list[Path]:
    """Those folders with pictures whose bytes are gone. A bucket would have to be asked for each:
    there it goes by their rows."""
    keys = {folder: _key(folder) for folder in folders}
    wanted = [key for key in keys.values() if key is not None]
    if place().is_far:
        rows = Blob.objects.filter(sha256__in=[key.sha256 for key in wanted])
        known = {storage.key_of(row) for row in rows}
    else:
        known = set(place().sizes(wanted))
    return [folder for folder, key in keys.items() if key not in known]


def _key(folder: Path) -> Key | None:
    try:
        return Key(uuid.UUID(hex=folder.parent.parent.name), folder.name)
    except ValueError:
        return None


def remove_all_of(organization: Organization) -> None:
    """Removes what is left of an organization that has no blobs. Raises BytesKept while a backup is
    made: nobody would find them afterwards."""
    found = place().found(organization.pk.hex)
    keys = (each.key for each in found if each.key is not None)
    while portion := list(islice(keys, storage.LISTED_TOGETHER)):
        with transaction.atomic():  # a backup that begins waits for one portion at most
            if keeping.is_asked_for():
                raise keeping.BytesKept
            place().remove(portion)
    place().clear(organization.pk.hex)
    shutil.rmtree(storage.previews() / organization.pk.hex, ignore_errors=True)


def _root() -> Path:
    return Path(settings.DOCMILL_DATA_DIR)


def _is_older(path: Path, moment: float) -> bool:
    """Whether `path` was last changed before `moment`; no when its upload has ended since."""
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False


def stale_uploads() -> list[Path]:
    """What killed processes left in `incoming` a day ago or earlier, and what there is of uploads
    whose time is over."""
    too_old = time.time() - storage.STALE_UPLOAD_SECONDS
    incoming = [path for path in (_root() / "incoming").glob("*") if _is_older(path, too_old)]
    partial = [path for path in (_root() / "uploads").glob("*") if _is_older(path, too_old)]
    return incoming + [path for path in partial if not _is_live(path)]


def _is_live(partial: Path) -> bool:
    """Whether that folder is of an upload that may go on."""
    is_ours = SHELVES_OF.fullmatch(partial.name)
    return bool(is_ours and UploadSession.objects.live().filter(pk=partial.name).exists())


def remove_stale_uploads() -> int:
    """Removes them; how many uploads."""
    UploadSession.objects.expired().delete()
    stale = stale_uploads()
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(stale)
