"""Bytes in a folder of this machine, or one that several machines have in common."""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from apps.jobs.places.place import SHA256, Found, Key, Place


class Folder(Place):
    """`<root>/<organization>/<aa>/<sha256>`, each for this user only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: Key) -> Path:
        return self.root / str(key)

    def bring(self, files: Iterable[tuple[Key, Path]]) -> None:
        """Nothing: a file is renamed into place in no time."""

    def put(self, files: Iterable[tuple[Key, Path]]) -> None:
        """A file is renamed into place even if one is there: a removal that was cut short may have
        left a row without its bytes."""
        shelves = set()
        for key, path in files:
            target = self.path(key)
            make_private(target.parent)
            # A transaction that was rolled back and is repeated finds its bytes in place already.
            if path.exists() or not target.exists():
                path.rename(target)
            shelves.add(target.parent)
        for shelf in shelves:
            sync_directory(shelf)

    def size(self, key: Key) -> int | None:
        try:
            return self.path(key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sizes(self, keys: Sequence[Key]) -> dict[Key, int]:
        found = ((key, self.size(key)) for key in keys)
        return {key: size for key, size in found if size is not None}

    def is_gone(self, key: Key) -> bool:
        path = self.path(key)
        return not path.exists() and path.parent.parent.is_dir()

    def look_at(self, keys: Iterable[Key]) -> None:
        """Nothing: `was_there` asks in no time."""

    def was_there(self, key: Key) -> bool:
        return not self.is_gone(key)

    def open(self, key: Key) -> BinaryIO:
        return self.path(key).open("rb")

    @contextmanager
    def local(self, key: Key) -> Iterator[Path]:
        path = self.path(key)
        if not path.exists():
            raise FileNotFoundError(path)
        yield path

    def remove(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.path(key).unlink(missing_ok=True)

    def organizations(self) -> Iterator[str]:
        return (path.name for path in entries(self.root))

    def found(self, organization: str) -> Iterator[Found]:
        for shelf in entries(self.root / organization):
            for path in entries(shelf):
                try:
                    about = path.stat()
                except FileNotFoundError:
                    continue
                # By when it was put there, not when it was written.
                since = datetime.fromtimestamp(about.st_ctime, UTC)
                yield Found(str(path), _key(organization, path), about.st_size, since)

    def clear(self, organization: str) -> None:
        shutil.rmtree(self.root / organization, ignore_errors=True)

    def link(self, key: Key, *, name: str, content_type: str) -> str | None:
        return None

    def ask(self) -> str:
        return "disk"

    def check(self) -> str:
        make_private(self.root)
        probe = self.root / f".probe-{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"probe")
        finally:
            probe.unlink(missing_ok=True)
        return "folder"


def _key(organization: str, path: Path) -> Key | None:
    if not SHA256.fullmatch(path.name) or path.parent.name != path.name[:2]:
        return None
    try:
        return Key(UUID(hex=organization), path.name)
    except ValueError:
        return None


def entries(folder: Path) -> Iterator[Path]:
    """What is in the folder, also while it changes; nothing where it is none."""
    try:
        with os.scandir(folder) as found:
            for entry in found:
                yield Path(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return


def give_second_name(path: Path, name: Path) -> None:
    """So that it is still there by the first if what needs it by the second comes to nothing.
    Raises FileNotFoundError."""
    try:
        os.link(path, name)
    except FileNotFoundError:
        raise
    except OSError:  # this file system has one name for each file
        with path.open("rb") as source, name.open("xb") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())


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
