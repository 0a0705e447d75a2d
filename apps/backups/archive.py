"""The file of a backup: a tar that any tar program reads.

    docmill-backup.json         what it is of; first, so that a wrong one is refused at once
    database/<table>.jsonl.gz   the rows of a table, a JSON array a line
    secrets/<name>              keys that the installation made for itself
    blobs/<organization>/<aa>/<sha256>
    manifest.json               what must be in it, with the SHA-256 of each part; last, so that
                                a file without it is not whole

Written and read in one go, with the memory of one piece.
"""

import hashlib
import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from apps.backups.errors import BadArchive

FORMAT = 1
HEAD, MANIFEST = "docmill-backup.json", "manifest.json"
TABLE = re.compile(r"database/([a-z0-9_]{1,100})\.jsonl\.gz")
SECRET = re.compile(r"secrets/([a-z_]{1,40})")
BLOB = re.compile(r"blobs/[0-9a-f]{32}/([0-9a-f]{2})/([0-9a-f]{64})")
MAX_NOTE_BYTES = 64 * 1024 * 1024
PIECE = 1024 * 1024


@dataclass(frozen=True)
class Head:
    """What a backup is of. `at` is its moment (ISO 8601), `secret` says which SECRET_KEY it had
    without telling it, `has_secrets` whether keys are in it."""

    version: str
    at: str
    database: str
    migrations: list[list[str]]
    secret: str
    has_bytes: bool
    has_secrets: bool
    format: int = FORMAT


@dataclass
class Table:
    """A table in the archive."""

    model: str
    table: str
    columns: list[str]
    rows: int


@dataclass
class Manifest:
    """What must be in an archive: the SHA-256 of each part by its name, and of the bytes how many
    files and how many bytes; `digest` is over all their names and sizes in their order. `lost`
    were not there when it was made, and `damaged` were, but are not what their names say."""

    tables: list[Table] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    files: int = 0
    size_bytes: int = 0
    digest: str = ""
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Manifest":
        return cls(**{**told, "tables": [Table(**each) for each in told["tables"]]})


class Writer:
    """Fills an archive."""

    def __init__(self, sink: IO[bytes], head: Head) -> None:
        self.manifest = Manifest()
        self._names = hashlib.sha256()
        self._tar = tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._note(HEAD, asdict(head))

    def add_part(self, name: str, content: IO[bytes], size: int) -> None:
        """A part whose SHA-256 the manifest will tell."""
        self.manifest.parts[name] = self._add(name, content, size, lambda _: None)

    def add_blob(
        self, key: str, content: IO[bytes], size: int, tick: Callable[[int], object]
    ) -> None:
        """Bytes that are called by their SHA-256. Raises OSError when there are fewer."""
        name = f"blobs/{key}"
        found = self._add(name, content, size, tick)
        if found != key[-64:]:
            self.manifest.damaged.append(key)
        self.manifest.files += 1
        self.manifest.size_bytes += size
        self._names.update(f"{name} {size}\n".encode())

    def end(self) -> None:
        """Nothing comes after it."""
        self.manifest.digest = self._names.hexdigest()
        self._note(MANIFEST, asdict(self.manifest))
        self._tar.close()

    def _note(self, name: str, told: dict[str, Any]) -> None:
        data = json.dumps(told, indent=1).encode()
        self._add(name, BytesIO(data), len(data), lambda _: None)

    def _add(self, name: str, content: IO[bytes], size: int, tick: Callable[[int], object]) -> str:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        hashing = _Hashing(content, tick)
        self._tar.addfile(info, hashing)
        self._tar.members = []  # type: ignore[attr-defined]  # it would remember every one
        return hashing.digest.hexdigest()


class _Hashing:
    """What is read through it is hashed, and told of by its size."""

    def __init__(self, content: IO[bytes], tick: Callable[[int], object]) -> None:
        self.digest = hashlib.sha256()
        self._content, self._tick = content, tick

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self.digest.update(data)
        self._tick(len(data))
        return data


@dataclass(frozen=True)
class Part:
    """A part as it comes; `content` can be read until the next one does. `blob` is its SHA-256
    where it is bytes."""

    name: str
    size: int
    content: IO[bytes]
    blob: str = ""


class Reader:
    """An archive, from its beginning. Raises BadArchive."""

    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115
        except tarfile.TarError as error:
            raise BadArchive(f"{path} is no backup of Docmill ({error}).") from error
        except OSError as error:
            raise BadArchive(f"{path} cannot be read: {error.strerror}.") from error
        with telling():
            first = self._next()
            if first is None or first.name != HEAD or first.size > MAX_NOTE_BYTES:
                raise BadArchive(f"{path} is no backup of Docmill.")
            told = _json(first)
        if told.get("format") != FORMAT:
            raise BadArchive(
                f"{path} has format {told.get('format')}; this version of Docmill reads {FORMAT}."
            )
        self.head = Head(**told)

    def parts(self) -> Iterator[Part]:
        """All parts in their order, the manifest as well."""
        with telling():
            while (part := self._next()) is not None:
                yield part

    def verify(self, tick: Callable[[int], object]) -> Manifest:
        """What is in it, all of it read and found to be as the manifest says."""
        with telling():
            return self._verified(tick)

    def _verified(self, tick: Callable[[int], object]) -> Manifest:
        manifest, parts, names = None, dict[str, str](), hashlib.sha256()
        files, size_bytes, damaged = 0, 0, list[str]()
        for part in self.parts():
            if manifest is not None:
                raise BadArchive("There is something behind the end of the backup.")
            if part.name == MANIFEST:
                manifest = Manifest.from_json(_json(part))
                continue
            found = _sha256(part.content, tick)
            if part.blob:
                files, size_bytes = files + 1, size_bytes + part.size
                names.update(f"{part.name} {part.size}\n".encode())
                damaged += [part.name.removeprefix("blobs/")] if found != part.blob else []
            else:
                parts[part.name] = found
        if manifest is None:
            raise BadArchive("The backup is not whole: its end is missing.")
        bad = {
            name
            for name in {*parts, *manifest.parts}
            if parts.get(name) != manifest.parts.get(name)
        }
        bad |= set(damaged) - set(manifest.damaged)
        if bad:
            raise BadArchive(f"The backup is damaged: {', '.join(sorted(bad)[:3])}.")
        if (files, size_bytes, names.hexdigest()) != (
            manifest.files,
            manifest.size_bytes,
            manifest.digest,
        ):
            raise BadArchive(f"The backup has {files} files, and should have {manifest.files}.")
        return manifest

    def close(self) -> None:
        self._tar.close()

    def _next(self) -> Part | None:
        info = self._tar.next()
        self._tar.members = []  # type: ignore[attr-defined]
        if info is None:
            return None
        blob = BLOB.fullmatch(info.name)
        is_known = info.name in (HEAD, MANIFEST) or TABLE.fullmatch(info.name)
        if not info.isreg() or not (blob or is_known or SECRET.fullmatch(info.name)):
            raise BadArchive(f"There is something in it that no backup has: {info.name[:100]!r}.")
        content = self._tar.extractfile(info)
        assert content is not None
        return Part(info.name, info.size, content, blob[2] if blob else "")


@contextmanager
def telling() -> Iterator[None]:
    """What tarfile cannot read, told as BadArchive."""
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise BadArchive(f"The backup is not whole: {error}.") from error


def _sha256(content: IO[bytes], tick: Callable[[int], object]) -> str:
    digest = hashlib.sha256()
    while data := content.read(PIECE):
        digest.update(data)
        tick(len(data))
    return digest.hexdigest()


def _json(part: Part) -> dict[str, Any]:
    try:
        told = json.loads(part.content.read(MAX_NOTE_BYTES))
    except ValueError as error:
        raise BadArchive(f"{part.name} in it cannot be read.") from error
    if not isinstance(told, dict):
        raise BadArchive(f"{part.name} in it cannot be read.")
    return told
