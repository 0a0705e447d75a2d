"""Copying bytes from the place where they are to another one, while the service runs."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.models import Q

from apps.jobs import storage
from apps.jobs.models import Blob
from apps.jobs.places import Place, place
from apps.jobs.places.place import hash_of

PORTION = 1000
TOLD = 100
"""Lost and damaged ones that are named."""

Tell = Callable[[int], object]
"""Hears of how many more bytes were dealt with."""


@dataclass
class Moved:
    """How many files were copied or would be, how many were there already, and the names of those
    that are missing where they should be, or are not what their names say: they are not copied."""

    copied: int = 0
    copied_bytes: int = 0
    there: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def copy_all(to: Place, *, is_dry: bool, tell: Tell = lambda _: None) -> Moved:
    """Copies the bytes of all rows to `to`, those that are not there. Raises StorageUnavailable and
    OSError; what was copied by then stays, and the next goes on."""
    moved = Moved()
    with storage.incoming() as folder:
        for blob in _blobs():
            _copy(blob, to, folder / "bytes", moved, is_dry=is_dry)
            tell(blob.size_bytes)
    return moved


def _copy(blob: Blob, to: Place, waiting: Path, moved: Moved, *, is_dry: bool) -> None:
    key = storage.key_of(blob)
    if to.size(key) == blob.size_bytes:
        moved.there += 1
        return
    try:
        with storage.local(blob) as path:
            if hash_of(path) != blob.sha256:
                moved.damaged += [str(key)][: TOLD - len(moved.damaged)]
                return
            if not is_dry:
                _copy_file(path, waiting)
                to.bring([(key, waiting)])
                to.put([(key, waiting)])
                waiting.unlink(missing_ok=True)
    except FileNotFoundError:
        if Blob.objects.filter(pk=blob.pk).exists():  # and was not removed meanwhile
            moved.lost += [str(key)][: TOLD - len(moved.lost)]
        return
    moved.copied += 1
    moved.copied_bytes += blob.size_bytes


def _copy_file(source: Path, target: Path) -> None:
    """Synced: a folder renames it into place."""
    with source.open("rb") as content, target.open("wb") as copy:
        shutil.copyfileobj(content, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())


def is_same(to: Place) -> bool:
    """Whether that is where bytes are already."""
    return vars(to) == vars(place()) and type(to) is type(place())


def _blobs() -> Iterator[Any]:
    """All, oldest first, by their keys: no cursor stays open."""
    above = Q()
    while portion := list(Blob.objects.filter(above).order_by("pk")[:PORTION]):
        yield from portion
        above = Q(pk__gt=portion[-1].pk)
