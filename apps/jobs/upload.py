"""Receiving files: streamed to disk and hashed, memory flat, each judged by name and first bytes.

A file that cannot be taken does not stop the others: it is received as a problem. What sinks the
whole request is raised as an error of `apps.jobs.errors`, and nothing stays.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError

from apps.core.deadline import unhurried
from apps.core.errors import FieldError, InvalidInput
from apps.core.pool import give_back
from apps.jobs import storage
from apps.jobs.errors import (
    BatchTooLarge,
    IncompleteUpload,
    LengthRequired,
    MalformedUpload,
    NotMultipart,
    TooManyFiles,
)
from apps.jobs.parts import Part, parts
from apps.jobs.places.folder import give_second_name
from apps.processors.errors import BadDocument
from apps.processors.kinds import check_name, identify

OVERHEAD_BYTES = 1024 * 1024
"""What the form's other fields and the part headers may add to the files."""
FIELD = "file"
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 20
MAX_NAME = 300
"""How much of a name is kept, in characters."""


@dataclass
class Received:
    """One file as it came: `path` holds its bytes unless `problem` says why it is not taken."""

    name: str
    path: Path | None = None
    size_bytes: int = 0
    sha256: str = ""
    kind: str = ""
    content_type: str = ""
    problem: BadDocument | None = None
    upload_id: UUID | None = None  # of the upload in parts that it came by
    blob_id: int | None = None  # see `storage.Incoming`


@dataclass
class Form:
    """A received submission: its plain fields and its files in order."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Received] = field(default_factory=list)


class Receiver:
    """Takes the files of one submission, one after the other, into `directory`; `files` are those
    that it has already."""

    def __init__(self, directory: Path, files: list[Received] | None = None) -> None:
        self.files: list[Received] = [] if files is None else files
        self._directory = directory
        self._sink: BinaryIO | None = None
        self._digest = hashlib.sha256()

    def take(self, name: str, content: Iterable[bytes]) -> None:
        """Receives the next file. Raises TooManyFiles at the first one over the limit."""
        if self._begin(name):
            current = self.files[-1]
            current.path = self._directory / str(len(self.files))
            self._sink = current.path.open("wb")
            self._digest = hashlib.sha256()
        for chunk in content:
            self._write(chunk)
        self._end()

    def take_stored(self, name: str, path: Path) -> None:
        """Receives the next file, which is on this disk and synced: read, but not written anew.
        Raises TooManyFiles."""
        if not self._begin(name):
            return
        current = self.files[-1]
        current.path = self._directory / str(len(self.files))
        give_second_name(path, current.path)
        with current.path.open("rb") as content:
            current.size_bytes = os.fstat(content.fileno()).st_size
            current.sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        if current.size_bytes > settings.BATCH_MAX_FILE_BYTES:
            current.problem = too_large()
            self._discard()
        else:
            self._judge(current, current.path)

    def close(self) -> None:
        """Closes what an interrupted upload left open."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _begin(self, name: str) -> bool:
        """Whether the next file may be called so. Raises TooManyFiles."""
        if len(self.files) >= settings.BATCH_MAX_FILES:
            raise TooManyFiles(
                f"A batch takes at most {settings.BATCH_MAX_FILES} files. Nothing was stored."
            )
        # Text that no database takes must not sink the batch; the name is refused as it stands.
        storable = name.replace("\x00", "\ufffd").encode(errors="replace").decode()
        current = Received(name=storable[:MAX_NAME])
        self.files.append(current)
        try:
            check_name(name)
        except BadDocument as problem:
            current.problem = problem
        return current.problem is None

    def _write(self, chunk: bytes) -> None:
        """Adds bytes to the file; past the limit they are counted and dropped."""
        current = self.files[-1]
        current.size_bytes += len(chunk)
        if current.problem is None and current.size_bytes > settings.BATCH_MAX_FILE_BYTES:
            current.problem = too_large()
            self._discard()
        if self._sink is not None:
            self._sink.write(chunk)
            self._digest.update(chunk)

    def _end(self) -> None:
        """Ends the file, synced to disk."""
        current = self.files[-1]
        if self._sink is None or current.path is None:
            return
        self._sink.flush()
        os.fsync(self._sink.fileno())
        self._sink.close()
        self._sink = None
        current.sha256 = self._digest.hexdigest()
        self._judge(current, current.path)

    def _judge(self, current: Received, path: Path) -> None:
        """Finds its kind from name and content."""
        try:
            with path.open("rb") as content:
                kind = identify(current.name, content)
        except BadDocument as problem:
            current.problem = problem
            self._discard()
        else:
            current.kind, current.content_type = kind.name, kind.media_type

    def _discard(self) -> None:
        self.close()
        current = self.files[-1]
        if current.path is not None:
            current.path.unlink(missing_ok=True)
            current.path = None


def too_large() -> BadDocument:
    """What is wrong with a file of more than BATCH_MAX_FILE_BYTES."""
    limit = settings.BATCH_MAX_FILE_BYTES // (1024 * 1024)
    return BadDocument("document.too_large", f"The file is larger than {limit} MB.")


def check_length(request: HttpRequest) -> None:
    """Refuses by the headers alone what need not be read.

    Raises NotMultipart, LengthRequired, BatchTooLarge or StorageFull.
    """
    if request.content_type != "multipart/form-data":
        raise NotMultipart(f"The media type was {request.content_type or 'not given'}.")
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdecimal():
        raise LengthRequired("Send a Content-Length; chunked uploads are not taken.")
    limit = settings.BATCH_MAX_FILES * settings.BATCH_MAX_FILE_BYTES + OVERHEAD_BYTES
    if int(length) > limit:
        raise BatchTooLarge(f"A batch takes at most {limit} bytes. Nothing was stored.")
    storage.check_room(int(length))


def receive(
    request: HttpRequest,
    directory: Path,
    admit: Callable[[dict[str, str]], None] = lambda _: None,
) -> Form:
    """Reads the request's body into `directory`.

    `admit` is called once, with the fields that stand before the first file, and before any file
    is read; it may take fields out, and what it raises ends the reading.

    Raises TooManyFiles, IncompleteUpload when the client left, MalformedUpload and InvalidInput,
    and OSError when the files cannot be written.
    """
    receiver = Receiver(directory)
    form = Form(files=receiver.files)
    boundary = (request.content_params or {}).get("boundary", "")
    give_back()  # its client may be slow
    try:
        with unhurried():
            for part in parts(request, boundary):
                if part.name == FIELD:
                    if not form.files:
                        admit(form.fields)
                        give_back()
                    receiver.take(part.file_name or "", part.content)
                elif part.file_name is not None:
                    raise MalformedUpload(f'Files go into the field "{FIELD}".')
                else:
                    _add_field(form.fields, part)
        if not form.files:
            admit(form.fields)
    except UnreadablePostError as error:
        raise IncompleteUpload("The connection was closed. Nothing was stored.") from error
    finally:
        receiver.close()
    return form


def _add_field(fields: dict[str, str], part: Part) -> None:
    """Adds a plain field. Raises InvalidInput that names it when it cannot be taken."""
    try:
        value = part.text(MAX_FIELD_BYTES)
    except UnicodeDecodeError:
        problem = FieldError(part.name, "invalid", "The field is not UTF-8.")
    else:
        if value is None:
            told = f"The field is longer than {MAX_FIELD_BYTES} bytes."
            problem = FieldError(part.name, "too_long", told)
        elif part.name in fields:
            problem = FieldError(part.name, "repeated", "The field is given more than once.")
        elif len(fields) >= MAX_FIELDS:
            raise MalformedUpload(f"There are more than {MAX_FIELDS} fields.")
        else:
            fields[part.name] = value
            return
    raise InvalidInput(problem.detail, errors=[problem])


def receive_stored(
    form: Form, stored: Iterable[tuple[UUID, str, Path | None]], directory: Path
) -> None:
    """Adds files that came in parts before to `form`: the id of each, its name, and where its bytes
    are if it has any. Raises TooManyFiles, and FileNotFoundError."""
    receiver = Receiver(directory, form.files)
    for upload_id, name, path in stored:
        if path is None:
            receiver.take(name, ())
        else:
            with unhurried():
                receiver.take_stored(name, path)
        form.files[-1].upload_id = upload_id


def receive_paths(paths: list[Path], directory: Path) -> Iterator[Received]:
    """The files at `paths` as if they had been uploaded, one after the other."""
    receiver = Receiver(directory)
    for path in paths:
        with path.open("rb") as source:
            receiver.take(path.name, iter(lambda: source.read(1024 * 1024), b""))
        yield receiver.files[-1]
