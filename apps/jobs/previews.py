"""Pictures of pages, drawn when first asked for and kept for a while beside the bytes.

A folder of `storage.previews_of` holds `<page>-<width>.webp`, and `<page>.failed` with the reason
where a page could not be drawn. What a password opened is named for the job that knew it as well:
another job with the same bytes may not know it.
"""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from django.conf import settings

from apps.core.errors import DocmillError, NotFound, Unavailable
from apps.core.sealing import Unsealable
from apps.jobs import storage
from apps.jobs.darkroom import RETRY_SECONDS, Darkroom, Order
from apps.jobs.models import BatchFile, Blob
from apps.jobs.places.folder import make_private
from apps.jobs.services import options_of
from apps.processors import errors as processing
from apps.processors.pictures import DRAWN, LAST_PAGE, WIDTHS
from apps.processors.protocol import Member, Options

logger = logging.getLogger(__name__)

REMEMBERED_SECONDS = 3600
"""For how long a page that could not be drawn is not tried again."""
MAX_PICTURE_BYTES = 16 * 1024 * 1024
USED_SECONDS = 3600
"""How exactly it is noted when a picture was last asked for."""

NO_SUCH_PAGE = "The file has no such page."
GONE = "The bytes of this file are not in storage any more."

darkroom = Darkroom()


class NoPicture(DocmillError):
    code = "file.no_picture"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "This page cannot be drawn"


def are_drawn(file: BatchFile) -> bool:
    """Whether pages of `file` can be asked for; a single one may still fail."""
    return file.kind in DRAWN and file.content is not None


def page_picture(file: BatchFile, *, number: int, width: int) -> Path:
    """A WebP picture of page `number` (from 1), `width` pixels wide (one of WIDTHS) or smaller.

    Raises NotFound when there is no such page or its bytes are gone, NoPicture when it cannot be
    drawn, Unavailable and StorageFull when that is impossible for the moment.
    """
    blob = file.content
    if blob is None or not are_drawn(file):
        raise NotFound("There are no pictures of this file.")
    if not 1 <= number <= LAST_PAGE:
        raise NotFound(NO_SUCH_PAGE)
    stem = f"{number}-{file.job_id.hex}" if file.job.sealed_password else str(number)
    picture = storage.previews_of(blob) / f"{stem}-{width}.webp"
    if not _is_there(picture):
        _draw(file, blob, number=number, stem=stem, wanted=picture)
    _note_use(picture)
    return picture


def _is_there(picture: Path) -> bool:
    """With something in it: after a power cut it may be empty."""
    return picture.exists() and picture.stat().st_size > 0


def _note_use(picture: Path) -> None:
    """What was not asked for the longest goes first."""
    try:
        if picture.stat().st_mtime < time.time() - USED_SECONDS:
            os.utime(picture)
    except FileNotFoundError as error:  # just now
        raise NotFound(GONE) from error


def _draw(file: BatchFile, blob: Blob, *, number: int, stem: str, wanted: Path) -> None:
    failed = wanted.parent / f"{stem}.failed"
    _refuse_again(failed)
    options = _options(file, number)
    storage.check_room(0)
    with (
        _finding_bytes(),
        storage.local(blob) as source,
        storage.refusing_when_full(),
        storage.incoming() as into,
    ):
        order = Order(
            source=source,
            kind=file.kind,
            options=options,
            owner=str(file.organization_id),
            into=into,
            is_wanted=lambda: not (_is_there(wanted) or failed.exists()),
        )
        try:
            _put_in_place(darkroom.draw(order), wanted.parent, stem)
        except processing.ProcessingError as error:
            raise _told(error, failed) from error
        finally:
            if not storage.is_there(blob):  # removed meanwhile, and pictures go with their bytes
                shutil.rmtree(wanted.parent, ignore_errors=True)
    _refuse_again(failed)  # of whoever asked for the same page a moment before


@contextlib.contextmanager
def _finding_bytes() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(GONE) from error


def _options(file: BatchFile, number: int) -> Options:
    try:
        return replace(options_of(file.job), pages=str(number))
    except Unsealable as error:
        raise NoPicture("The password of this file cannot be opened any more.") from error


def _put_in_place(pictures: Iterable[Member], folder: Path, stem: str) -> None:
    """Raises ProcessorBug for what is no picture: it comes from a process that may be taken over,
    and goes to browsers."""
    make_private(folder)
    for picture in pictures:
        path = Path(picture.path)
        with path.open("rb") as content:
            start = content.read(12)
        is_webp = start.startswith(b"RIFF") and start.endswith(b"WEBP")
        is_small = path.stat().st_size <= MAX_PICTURE_BYTES
        if not (is_webp and is_small and picture.name in map(str, WIDTHS)):
            raise processing.ProcessorBug("What was drawn is no picture.")
        path.rename(folder / f"{stem}-{picture.name}.webp")


def _told(error: processing.ProcessingError, failed: Path) -> DocmillError:
    """What to answer; what would come again is remembered in the file `failed`."""
    if isinstance(error, processing.Unavailable):
        return Unavailable(error.detail, retry_after=RETRY_SECONDS)
    if error.code == "document.pages":
        return NotFound(NO_SUCH_PAGE)
    logger.warning("page not drawn: %s", error)
    make_private(failed.parent)
    failed.write_text(error.detail)
    return NoPicture(error.detail)


def _refuse_again(failed: Path) -> None:
    """Raises NoPicture while it is remembered that the page could not be drawn."""
    with contextlib.suppress(FileNotFoundError):
        if failed.stat().st_mtime > time.time() - REMEMBERED_SECONDS:
            raise NoPicture(failed.read_text())
        failed.unlink()


def trim() -> int:
    """Removes pictures until all take at most PREVIEW_CACHE_BYTES, those first that were not asked
    for the longest; how many bytes of the disk went."""
    kept = [(path.stat(), path) for path in storage.previews().rglob("*.*") if path.is_file()]
    kept.sort(key=lambda each: each[0].st_mtime)
    taken = sum(_on_disk(status) for status, _ in kept)
    removed = 0
    for status, path in kept:
        if taken - removed <= settings.PREVIEW_CACHE_BYTES:
            break
        path.unlink(missing_ok=True)
        removed += _on_disk(status)
    return removed


def _on_disk(status: os.stat_result) -> int:
    return status.st_blocks * 512  # POSIX leaves the unit open; here it is this
