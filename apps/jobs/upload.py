"""Receiving files: streamed to disk and hashed, memory flat, each judged by name and first bytes.

A file that cannot be taken does not stop the others: it is received as a problem. What sinks the
whole request is raised as an error of `apps.jobs.errors`, and nothing stays.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.datastructures import MultiValueDict

from apps.jobs import storage
from apps.jobs.errors import (
    BatchTooLarge,
    IncompleteUpload,
    LengthRequired,
    MalformedUpload,
    NotMultipart,
    TooManyFiles,
)
from apps.processors.errors import BadDocument
from apps.processors.kinds import check_name, identify

OVERHEAD_BYTES = 1024 * 1024
"""What the form's other fields and the part headers may add to the files."""
FIELD = "file"
TAIL_BYTES = 256


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


@dataclass
class Form:
    """A received submission: its plain fields and its files in order."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Received] = field(default_factory=list)


class Receiver:
    """Takes the files of one submission, one after the other, into `directory`."""

    def __init__(self, directory: Path) -> None:
        self.files: list[Received] = []
        self._directory = directory
        self._sink: BinaryIO | None = None
        self._digest = hashlib.sha256()

    def begin(self, name: str) -> None:
        """Starts the next file. Raises TooManyFiles at the first one over the limit."""
        if len(self.files) >= settings.BATCH_MAX_FILES:
            raise TooManyFiles(
                f"A batch takes at most {settings.BATCH_MAX_FILES} files. Nothing was stored."
            )
        # Text that no database takes must not sink the batch; the name is refused as it stands.
        storable = name.replace("\x00", "\ufffd").encode(errors="replace").decode()
        current = Received(name=storable[:300])
        self.files.append(current)
        try:
            check_name(name)
        except BadDocument as problem:
            current.problem = problem
            return
        current.path = self._directory / str(len(self.files))
        self._sink = current.path.open("wb")
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Adds bytes to the file; past the limit they are counted and dropped."""
        current = self.files[-1]
        current.size_bytes += len(chunk)
        if current.problem is None and current.size_bytes > settings.BATCH_MAX_FILE_BYTES:
            limit = settings.BATCH_MAX_FILE_BYTES // (1024 * 1024)
            current.problem = BadDocument(
                "document.too_large", f"The file is larger than {limit} MB."
            )
            self._discard()
        if self._sink is not None:
            self._sink.write(chunk)
            self._digest.update(chunk)

    def end(self) -> None:
        """Ends the file: synced to disk, hashed, and its kind found from name and content."""
        current = self.files[-1]
        if self._sink is None or current.path is None:
            return
        self._sink.flush()
        os.fsync(self._sink.fileno())
        self._sink.close()
        self._sink = None
        current.sha256 = self._digest.hexdigest()
        try:
            with current.path.open("rb") as content:
                kind = identify(current.name, content)
        except BadDocument as problem:
            current.problem = problem
            self._discard()
        else:
            current.kind, current.content_type = kind.name, kind.media_type

    def close(self) -> None:
        """Closes what an interrupted upload left open."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _discard(self) -> None:
        self.close()
        current = self.files[-1]
        if current.path is not None:
            current.path.unlink(missing_ok=True)
            current.path = None


class _Tail:
    """A request's body that remembers how it ended, since Django's parser does not check."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._last: deque[int] = deque(maxlen=TAIL_BYTES)

    def read(self, size: int = -1) -> bytes:
        chunk: bytes = self._stream.read(size)
        self._last.extend(chunk[-TAIL_BYTES:])
        return chunk

    def ended_with(self, delimiter: bytes) -> bool:
        return delimiter in bytes(self._last)


class _Parser(MultiPartParser):
    """Django's parser, with file names as they came: a path in a name is refused, not repaired."""

    def sanitize_file_name(self, file_name: str) -> str:
        return file_name


class _Handler(FileUploadHandler):
    """Hands the bytes of every part called `file` to the receiver."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()
        self.receiver = receiver

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.field_name != FIELD:
            raise MalformedUpload(f'Files go into the field "{FIELD}".')
        self.receiver.begin(self.file_name or "")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.receiver.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        self.receiver.end()


def check_length(request: HttpRequest) -> None:
    """Refuses by the headers alone what need not be read.

    Raises NotMultipart, LengthRequired, BatchTooLarge or StorageFull.
    """
    if request.content_type != "multipart/form-data":
        raise NotMultipart(f"The media type was {request.content_type or 'not given'}.")
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdigit():
        raise LengthRequired("Send a Content-Length; chunked uploads are not taken.")
    limit = settings.BATCH_MAX_FILES * settings.BATCH_MAX_FILE_BYTES + OVERHEAD_BYTES
    if int(length) > limit:
        raise BatchTooLarge(f"A batch takes at most {limit} bytes. Nothing was stored.")
    storage.check_room(int(length))


def receive(request: HttpRequest, directory: Path) -> Form:
    """Reads the request's body into `directory`.

    Raises TooManyFiles, IncompleteUpload when the client left, MalformedUpload, StorageFull.
    """
    receiver = Receiver(directory)
    stream = _Tail(request)
    try:
        parser = _Parser(request.META, stream, [_Handler(receiver)], request.encoding)  # type: ignore[arg-type]  # anything with read() will do
        fields, _ = parser.parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise MalformedUpload(str(error)) from error
    except UnreadablePostError as error:
        raise IncompleteUpload("The connection was closed. Nothing was stored.") from error
    except OSError as error:
        _raise_storage_full(error)
    finally:
        receiver.close()
    boundary = (request.content_params or {}).get("boundary", "").encode("ascii", "replace")
    if not stream.ended_with(b"--" + boundary + b"--"):
        raise IncompleteUpload("The last part has no end. Nothing was stored.")
    return Form(fields=_single(fields), files=receiver.files)


def keep_out_of_the_way(request: HttpRequest) -> None:
    """Makes Django's CSRF check not read the body: it belongs to `receive`.

    The check looks for a token in the form before it looks at the X-CSRFToken header.
    """
    request._post = QueryDict("")  # type: ignore[attr-defined]
    request._files = MultiValueDict()  # type: ignore[attr-defined]


def _single(fields: QueryDict) -> dict[str, str]:
    return {name: str(fields[name]) for name in fields}


def _raise_storage_full(error: OSError) -> NoReturn:
    from apps.jobs.errors import StorageFull

    raise StorageFull(
        f"The files could not be stored ({error.strerror}). Nothing was kept; try again later.",
        retry_after=storage.RETRY_WHEN_FULL_SECONDS,
    ) from error


def receive_paths(paths: list[Path], directory: Path) -> Iterator[Received]:
    """The files at `paths` as if they had been uploaded, one after the other."""
    receiver = Receiver(directory)
    for path in paths:
        receiver.begin(path.name)
        with path.open("rb") as source:
            while chunk := source.read(1024 * 1024):
                receiver.write(chunk)
        receiver.end()
        yield receiver.files[-1]
