"""The bytes of an upload that comes in parts: what was counted is on disk, synced, and stays.

`storage.partial_of(upload)` holds a file of them, `stored_as`. A writer adds to its end. One that
takes over from another, which may have died or only hang, copies what was counted into a file of
its own: whatever the other still writes goes where nobody reads.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from django.http import UnreadablePostError

from apps.accounts.actor import Actor
from apps.core.deadline import unhurried
from apps.core.errors import FieldError, NotFound
from apps.core.pool import give_back
from apps.jobs import storage
from apps.jobs.errors import IncompleteUpload, UploadUnfinished
from apps.jobs.models import UploadSession
from apps.jobs.parts import CHUNK_BYTES, Readable
from apps.jobs.places.folder import make_private, sync_directory
from apps.jobs.reading import uploads_of
from apps.jobs.services.uploading import (
    add_stored,
    let_go,
    remove_upload,
    take_over,
    uploads_gone,
    wrong_offset,
)
from apps.jobs.upload import Form, receive_stored

COUNTED_BYTES = 4 * 1024 * 1024
"""After so many bytes of a part they are synced and counted: no more is lost with a process."""


def bytes_of(upload: UploadSession) -> Path | None:
    """Where they are; None while there are none. Raises NotFound when they are lost, and the
    upload with them."""
    if upload.stored_as is None:
        return None
    path = storage.partial_of(upload.pk) / upload.stored_as.hex
    try:
        is_whole = path.stat().st_size >= upload.offset_bytes
    except FileNotFoundError:
        is_whole = False
    if not is_whole:
        raise NotFound("The bytes of this upload are lost.")
    return path


def receive_uploads(actor: Actor, form: Form, ids: Sequence[UUID], directory: Path) -> None:
    """Adds those finished uploads of the actor's to `form`, hashed and judged as other files are.

    They stay what they are until a job takes them. Raises UploadGone, UploadUnfinished and
    TooManyFiles; nothing is added then.
    """
    uploads = {upload.pk: upload for upload in uploads_of(actor).filter(pk__in=ids)}
    if missing := [pk for pk in ids if pk not in uploads]:
        raise uploads_gone(missing)
    _require_finished([uploads[pk] for pk in ids])
    before = len(form.files)
    try:
        receive_stored(
            form, ((pk, uploads[pk].name, bytes_of(uploads[pk])) for pk in ids), directory
        )
    except (FileNotFoundError, NotFound) as error:
        del form.files[before:]
        raise uploads_gone(ids) from error


def _require_finished(uploads: Iterable[UploadSession]) -> None:
    if unfinished := [upload for upload in uploads if not upload.is_finished]:
        errors = [
            FieldError(
                "upload_ids",
                "unfinished",
                f"{upload.pk}: {upload.offset_bytes} of {upload.size_bytes} bytes are stored.",
            )
            for upload in unfinished
        ]
        raise UploadUnfinished("Nothing was submitted; send the rest first.", errors=errors)


def append(
    upload: UploadSession, *, offset_bytes: int, body: Readable, length: int
) -> UploadSession:
    """Adds the `length` bytes of `body` from `offset_bytes` on; the upload as it is then.

    Raises WrongOffset, NotFound, IncompleteUpload when the body ended early (what came is kept),
    and OSError when the bytes cannot be written.
    """
    taken, writer, is_alone = take_over(upload, offset_bytes=offset_bytes)
    try:
        old = bytes_of(taken)
    except NotFound:
        _lost(taken, writer)
        raise
    if length == 0:
        if is_alone:
            let_go(taken, writer=writer)
        return taken
    Writer(taken, writer, old, goes_on=is_alone).write(body, length)
    return taken


def _lost(upload: UploadSession, writer: UUID) -> None:
    """Removes an upload without bytes. Raises WrongOffset when somebody took over: they have put
    them elsewhere."""
    if not UploadSession.objects.filter(pk=upload.pk, writer=writer).exists():
        raise wrong_offset(upload)
    remove_upload(upload)


class Writer:
    """Adds to one upload as the writer of that token, until somebody takes over."""

    def __init__(
        self, upload: UploadSession, token: UUID, old: Path | None, *, goes_on: bool
    ) -> None:
        self._upload = upload
        self._token = token
        self._old = old
        self._stored_as = (goes_on and upload.stored_as) or token
        self._file = storage.partial_of(upload.pk) / self._stored_as.hex
        self._uncounted = 0

    def write(self, body: Readable, length: int) -> None:
        """Raises what `append` does."""
        try:
            with unhurried(), self._opened() as sink:
                cut = self._copy(body, length, sink)
                self._count(sink, is_last=True)
        except BaseException:
            self._give_up()
            raise
        if cut:
            raise IncompleteUpload(
                f"The part ended early. {self._upload.offset_bytes} bytes are stored."
            )

    def _opened(self) -> BinaryIO:
        """The file, at the end of what was counted. Raises WrongOffset when somebody took over, put
        the bytes elsewhere, and this is gone."""
        try:
            return self._old_opened() if self._file == self._old else self._new_opened()
        except FileNotFoundError:
            raise wrong_offset(self._upload) from None

    def _old_opened(self) -> BinaryIO:
        sink = self._file.open("r+b")
        sink.truncate(self._upload.offset_bytes)
        sink.seek(self._upload.offset_bytes)
        return sink

    def _new_opened(self) -> BinaryIO:
        make_private(self._file.parent)
        sink = self._file.open("xb")
        sync_directory(self._file.parent)
        try:
            if self._old is not None:
                self._copy_counted(self._old, sink)
        except BaseException:
            sink.close()
            raise
        return sink

    def _copy_counted(self, old: Path, sink: BinaryIO) -> None:
        """Not what lies behind it: another may still write there."""
        left = self._upload.offset_bytes
        with old.open("rb") as source:
            while left:
                chunk = source.read(min(CHUNK_BYTES, left))
                if not chunk:
                    raise FileNotFoundError(f"{old} is cut short")
                sink.write(chunk)
                left -= len(chunk)

    def _copy(self, body: Readable, length: int, sink: BinaryIO) -> bool:
        """Writes and counts; whether the body ended before `length` bytes."""
        left = length
        give_back()  # its client may be slow
        while left:
            try:
                chunk = body.read(min(CHUNK_BYTES, left))
            except UnreadablePostError:
                return True
            if not chunk:
                return True
            sink.write(chunk)
            left -= len(chunk)
            self._uncounted += len(chunk)
            if left and self._uncounted >= COUNTED_BYTES:
                self._count(sink, is_last=False)
                give_back()
        return False

    def _count(self, sink: BinaryIO, *, is_last: bool) -> None:
        sink.flush()
        os.fsync(sink.fileno())
        add_stored(
            self._upload,
            writer=self._token,
            stored_as=self._stored_as,
            size_bytes=self._uncounted,
            is_last=is_last,
        )
        self._uncounted = 0
        if self._old is not None and self._old != self._file:
            self._old.unlink(missing_ok=True)
        self._old = self._file

    def _give_up(self) -> None:
        """After an error. While the counted bytes are in the file of another writer, who may not
        have ended, the next must not add to it either: it is not let go of."""
        if self._upload.stored_as == self._stored_as:
            let_go(self._upload, writer=self._token)
        else:
            self._file.unlink(missing_ok=True)
