"""What a place for bytes can do; `folder` and `bucket` are such places, `storage` uses them.

Bytes are found by their content: whatever lies under a key never changes, so they may be put there
twice, and read while they are.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, ClassVar
from uuid import UUID

SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class Key:
    """The bytes with this SHA-256 (64 hexadecimal digits) of an organization."""

    organization_id: UUID
    sha256: str

    def __str__(self) -> str:
        return f"{self.organization_id.hex}/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class Found:
    """What lies in a place. `name` is told to people; `key` is None for what is not ours."""

    name: str
    key: Key | None
    size_bytes: int
    since: datetime


def hash_of(path: Path) -> str:
    """The SHA-256 of what is in the file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Place(ABC):
    """All raise StorageUnavailable while the place cannot be reached, and `Missing`, a
    FileNotFoundError, where that is said."""

    is_far: ClassVar[bool] = False
    """Whether to ask it takes a while, so that nobody should do so with locks in hand. Where it has
    to be, by `put`, `remove` and `was_there`, it answers within seconds or is unavailable."""

    @abstractmethod
    def bring(self, files: Iterable[tuple[Key, Path]]) -> None:
        """Has the bytes there without taking the files from their paths, where it `is_far`, outside
        of transactions. Nothing where it is not."""

    @abstractmethod
    def put(self, files: Iterable[tuple[Key, Path]]) -> None:
        """Makes sure that the bytes are there for good. A file may be moved away from its path, or
        be gone from there because it was moved before."""

    @abstractmethod
    def size(self, key: Key) -> int | None:
        """In bytes; None where they are missing."""

    @abstractmethod
    def sizes(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Of those of `keys` that are there, in few calls where the place `is_far`. They come in
        their order, all that there are between the first and the last."""

    @abstractmethod
    def is_gone(self, key: Key) -> bool:
        """Whether they are missing for good: alone, and not with all that was there."""

    @abstractmethod
    def look_at(self, keys: Iterable[Key]) -> None:
        """Looks whether they are there, for `was_there` to know without asking."""

    @abstractmethod
    def was_there(self, key: Key) -> bool:
        """Whether they were there a minute ago or are now. For whoever holds locks, and has seen
        to it before that they were looked at."""

    @abstractmethod
    def open(self, key: Key) -> BinaryIO:
        """To be read from the beginning. Raises FileNotFoundError."""

    @abstractmethod
    def local(self, key: Key) -> AbstractContextManager[Path]:
        """A file with the bytes on this machine, to be read only. Raises FileNotFoundError."""

    @abstractmethod
    def remove(self, keys: Iterable[Key]) -> None:
        """Those that are missing already are passed over."""

    @abstractmethod
    def organizations(self) -> Iterator[str]:
        """The names under which there are bytes: the hexadecimal ids, and what is not ours."""

    @abstractmethod
    def found(self, organization: str) -> Iterator[Found]:
        """All that lies under that name, read in portions."""

    @abstractmethod
    def clear(self, organization: str) -> None:
        """Removes all that lies under that name."""

    @abstractmethod
    def link(self, key: Key, *, name: str, content_type: str) -> str | None:
        """An address from which whoever has it may fetch the bytes for a short while, to be saved
        as `name`; None where there is none and the bytes are to be sent by us."""

    @abstractmethod
    def ask(self) -> str:
        """What it is, in words, where it answers: quick enough to be asked all the time."""

    @abstractmethod
    def check(self) -> str:
        """What it is, in words, where bytes can be written, read and removed there."""
