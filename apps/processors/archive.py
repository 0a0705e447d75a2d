"""The guard before anything opens a ZIP, which DOCX, ODT and EPUB are too.

`inspect` looks at the directory alone and is cheap enough for the web process. `unpack` takes one
member out and `inflate` all of them to nowhere, counting what really comes; both in the child.
What the directory says is believed only as far as it forbids: a member that unpacks to another
size than announced is refused while it unpacks.

Pure, apart from reading the file. Sections are those of PKWARE's APPNOTE.TXT.
"""

import copy
import itertools
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, BinaryIO, Protocol

from apps.processors.errors import BadDocument

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
MAX_TOTAL_BYTES = 500 * 1024 * 1024
MAX_RATIO = 100
SMALL_BYTES = 5 * 1024 * 1024
"""Below this a high ratio harms nobody, and repetitive XML reaches it honestly."""
MAX_MEMBER_NAME = 1000
CHUNK_BYTES = 1 << 20

# 4.3.16: the last record, 22 bytes and a comment of up to 65,535. Before it, in large archives,
# the 20 bytes of 4.3.15 and the 56 of 4.3.14, which count instead.
END_RECORD = struct.Struct("<4s4H2LH")
END_SIGNATURE = b"PK\x05\x06"
LARGE_LOCATOR = struct.Struct("<4sLQL")
LARGE_LOCATOR_SIGNATURE = b"PK\x06\x07"
LARGE_END_RECORD = struct.Struct("<4sQ2H2L4Q")
LARGE_END_SIGNATURE = b"PK\x06\x06"
LOCAL_HEADER_BYTES = 30  # 4.3.7, without name and extra field
ENCRYPTED_FLAG = 0x1
# Others may turn 4 KB into gigabytes in one step, and hardly anybody uses them.
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
OTHER_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}  # 4.4.5
UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f]|^[A-Za-z]:|^[/\\]|(^|[/\\])\.\.([/\\]|$)")
NO_FILES = frozenset({stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK})
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
    struct.error,
)
DAMAGED = "The file is damaged: its parts cannot be unpacked."


class Unreadable(Exception):
    """There is no directory that can be read: damaged, or no ZIP at all."""


class Info(Protocol):
    """What is used of a ZipInfo, be it zipfile's or pyzipper's."""

    filename: str
    file_size: int
    compress_type: int
    flag_bits: int


class Archive(Protocol):
    """What is used of a ZipFile, be it zipfile's or pyzipper's."""

    def open(self, name: Any, /) -> IO[bytes]: ...


def inspect(content: BinaryIO) -> list[zipfile.ZipInfo]:
    """The members by the directory, encrypted ones and folders among them.

    Raises Unreadable, and BadDocument: document.bomb for too many members, too large or packed
    too well, or lying on top of each other; document.unsafe for names that lead out of a folder
    and for links. Two members may have the same name: both are counted, and both unpack.
    """
    _check_directory_size(content)
    try:
        with zipfile.ZipFile(content) as archive:
            members = archive.infolist()
            directory_at = archive.start_dir
    except DAMAGE as error:
        raise Unreadable from error
    _check(members)
    _check_layout(members, directory_at)
    return members


def is_encrypted(member: Info) -> bool:
    """Whether the member's bytes need a password, by its flag (4.4.4)."""
    return bool(member.flag_bits & ENCRYPTED_FLAG)


def unpack(
    archive: Archive,
    member: Any,
    target: BinaryIO | None,
    limit: int,
    *,
    damage: tuple[type[Exception], ...] = DAMAGE,
) -> int:
    """Writes the member's bytes to `target`, or to nowhere; how many they were.

    `archive` is an open ZipFile of zipfile or pyzipper, with the password set where one is
    needed; `member` is one of its own infos. Never more than `limit` bytes are written, and never
    more than a megabyte is held. Raises BadDocument: document.bomb when more than `limit` come
    out, document.corrupt when other bytes come out than the directory says, document.unsupported
    for another method than store and deflate; and RuntimeError for a password that is missing or
    wrong, as zipfile does. `damage` are the errors by which the library reports damage: pyzipper
    has a BadZipFile of its own.
    """
    if member.compress_type not in METHODS:
        method = OTHER_METHODS.get(member.compress_type, "an unknown method")
        raise BadDocument("document.unsupported", f"It is packed by {method}, which is not read.")
    unpacked = 0
    for chunk in _chunks(archive, member, limit + 1, damage):
        unpacked += len(chunk)
        if unpacked > limit:
            raise BadDocument("document.bomb", "It unpacks to far more than it should.")
        if target is not None:
            target.write(chunk)
    if unpacked != member.file_size:
        raise BadDocument("document.corrupt", DAMAGED)
    return unpacked


def _chunks(
    archive: Archive, member: Any, limit: int, damage: tuple[type[Exception], ...]
) -> Iterator[bytes]:
    # zipfile stops at the announced size, and so would not see that there is more.
    patient = copy.copy(member)
    patient.file_size = limit
    try:
        with archive.open(patient) as source:
            while chunk := source.read(CHUNK_BYTES):
                yield chunk
    except damage as error:
        raise BadDocument("document.corrupt", DAMAGED) from error


def inflate(content: BinaryIO) -> None:
    """Unpack every member to nowhere: what passes here, another library can open.

    Raises everything `inspect` and `unpack` raise, but RuntimeError: BadDocument
    "document.encrypted" when any member is.
    """
    members = inspect(content)
    if any(map(is_encrypted, members)):
        raise BadDocument("document.encrypted", "The file is protected by a password.")
    try:
        archive = zipfile.ZipFile(content)
    except DAMAGE as error:  # pragma: no cover (`inspect` has just read the same)
        raise Unreadable from error
    with archive:
        for member in members:
            unpack(archive, member, None, MAX_TOTAL_BYTES)


def _check_directory_size(content: BinaryIO) -> None:
    """zipfile reads the whole directory into memory, whatever it announces."""
    size = content.seek(0, 2)
    room = LARGE_END_RECORD.size + LARGE_LOCATOR.size + END_RECORD.size + 0xFFFF
    content.seek(max(0, size - room))
    tail = content.read(room)
    content.seek(0)
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END_RECORD.size:
        raise Unreadable
    _, _, _, _, members, directory_bytes, _, _ = END_RECORD.unpack_from(tail, at)
    locator_at = at - LARGE_LOCATOR.size
    if locator_at >= 0 and tail.startswith(LARGE_LOCATOR_SIGNATURE, locator_at):
        record_at = locator_at - LARGE_END_RECORD.size
        if record_at < 0 or not tail.startswith(LARGE_END_SIGNATURE, record_at):
            raise Unreadable
        record = LARGE_END_RECORD.unpack_from(tail, record_at)
        members, directory_bytes = record[7], record[8]
    if members > MAX_MEMBERS or directory_bytes > MAX_DIRECTORY_BYTES:
        raise BadDocument("document.bomb", "The file is an archive of too many parts.")


def _check(members: Sequence[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > MAX_MEMBERS:
        raise BadDocument("document.bomb", "The file is an archive of too many parts.")
    if total > MAX_TOTAL_BYTES or _is_blown_up(total, packed):
        raise BadDocument("document.bomb", "The file would unpack to far more than it should.")
    for member in members:
        _check_member(member)


def _check_member(member: zipfile.ZipInfo) -> None:
    if _is_blown_up(member.file_size, member.compress_size):
        raise BadDocument("document.bomb", "A part of the file would unpack to far too much.")
    # Of the two, zipfile cuts one at a NUL and may take the other from an extra field (4.6.9).
    for name in {member.filename, member.orig_filename}:
        if not 0 < len(name) <= MAX_MEMBER_NAME or UNSAFE_NAME.search(name):
            raise BadDocument(
                "document.unsafe",
                f"A part of the file has a name that is not safe: {_shown(name)}.",
            )
    if stat.S_IFMT(member.external_attr >> 16) in NO_FILES:
        raise BadDocument("document.unsafe", "A part of the file is a link to somewhere else.")


def _check_layout(members: Sequence[zipfile.ZipInfo], directory_at: int) -> None:
    """Members that share packed bytes are the trick of the best bombs (D. Fifield, "A better zip
    bomb", WOOT 2019): each is harmless, and so is the ratio of each."""
    spans = sorted(
        (member.header_offset, member.header_offset + LOCAL_HEADER_BYTES + member.compress_size)
        for member in members
    )
    if spans and (spans[0][0] < 0 or spans[-1][1] > directory_at):
        raise Unreadable
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start < end:
            raise BadDocument("document.bomb", "Parts of the file lie on top of each other.")


def _is_blown_up(size: int, packed: int) -> bool:
    return size > SMALL_BYTES and size > MAX_RATIO * packed


def _shown(name: str) -> str:
    """For a sentence: no longer than that, and nothing unseen in it."""
    return f'"{"".join(c if c.isprintable() else "?" for c in name[:60])}"'
