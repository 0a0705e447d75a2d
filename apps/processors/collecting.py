"""Takes the documents that a reading found inside another out of the child's room.

Nothing of what the child says is believed: it may have been taken over by what it read, it is
still alive, and its files may change while they are copied.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from apps.processors.archive import MAX_TOTAL_BYTES
from apps.processors.errors import Stopped
from apps.processors.protocol import MAX_MEMBERS, Member
from apps.processors.sandbox import WRITTEN_FILE_BYTES

MAX_PATH = 1000
PIECE_BYTES = 1 << 20
# Not waiting: the other end of a named pipe might never be opened.
CAREFULLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Improper(Exception):
    """The child named something that it had no business to name."""


def collect(
    members: Sequence[Member], *, room: Path, into: Path | None, should_stop: Callable[[], bool]
) -> tuple[Member, ...]:
    """`members` with absolute paths under the existing folder `into`, where their bytes are
    copied as 1, 2, 3 ...; without `into` their paths are gone.

    Raises Improper for more than 500, and for whatever is no regular file of the child's own
    inside `room`, reached without links, of at most 256 MB and 500 MB together; Stopped; OSError
    when `into` cannot be written. What lies in `into` then is the caller's to remove.
    """
    if len(members) > MAX_MEMBERS:
        raise Improper
    if into is None:
        return tuple(replace(member, path="") for member in members)
    left = MAX_TOTAL_BYTES
    collected = []
    for number, member in enumerate(members, 1):
        target = into.absolute() / str(number)
        if member.path:
            left -= _copy(room, member.path, target, left, should_stop)
            member = replace(member, path=str(target))  # noqa: PLW2901 (the same, elsewhere)
        collected.append(member)
    return tuple(collected)


def _copy(room: Path, path: str, target: Path, left: int, should_stop: Callable[[], bool]) -> int:
    """How many bytes were copied. They are counted, for the file may grow meanwhile."""
    cap = min(left, WRITTEN_FILE_BYTES)
    copied = 0
    with _opened(room, path) as source, target.open("xb") as copy:
        while piece := os.read(source, PIECE_BYTES):
            copied += len(piece)
            if copied > cap:
                raise Improper
            if should_stop():
                raise Stopped("Reading was stopped.")
            copy.write(piece)
    return copied


@contextmanager
def _opened(room: Path, path: str) -> Iterator[int]:
    """A descriptor of the regular file at `path` under `room`."""
    parts = path.split("/")
    if len(path) > MAX_PATH or not {"", ".", ".."}.isdisjoint(parts):
        raise Improper
    opened: list[int] = []
    try:
        try:
            opened.append(os.open(room, CAREFULLY | os.O_DIRECTORY))
            owner = os.fstat(opened[0]).st_uid
            for part in parts[:-1]:
                opened.append(os.open(part, CAREFULLY | os.O_DIRECTORY, dir_fd=opened[-1]))
            opened.append(os.open(parts[-1], CAREFULLY, dir_fd=opened[-1]))
            found = os.fstat(opened[-1])
        except (OSError, ValueError) as error:
            raise Improper from error
        # A hard link to somebody else's file would be one of its own folder, too.
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner:
            raise Improper
        yield opened[-1]
    finally:
        for descriptor in opened:
            os.close(descriptor)
