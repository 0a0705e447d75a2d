"""The guard before anything opens a ZIP, which DOCX is too. Pure, apart from reading the file.

`inspect` looks at the directory alone and is cheap enough for the web process; `inflate` unpacks
everything once to count, in the child.
"""

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import BinaryIO

from apps.processors.errors import BadDocument

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
MAX_TOTAL_BYTES = 500 * 1024 * 1024
MAX_RATIO = 100
SMALL_BYTES = 5 * 1024 * 1024
"""Below this a high ratio harms nobody, and repetitive XML reaches it honestly."""

# APPNOTE.TXT 4.3.16: the last record, 22 bytes and a comment of up to 65,535.
END_RECORD = struct.Struct("<4s4H2LH")
END_SIGNATURE = b"PK\x05\x06"
ENCRYPTED_FLAG = 0x1
UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f]|^[A-Za-z]:|^[/\\]|(^|[/\\])\.\.([/\\]|$)")


class Unreadable(Exception):
    """There is no directory that can be read: damaged, or no ZIP at all."""


def inspect(content: BinaryIO) -> list[zipfile.ZipInfo]:
    """The members by the directory. Raises Unreadable, and BadDocument for bombs and bad names."""
    _check_directory_size(content)
    try:
        with zipfile.ZipFile(content) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error) as error:
        raise Unreadable from error
    _check(members)
    return members


def inflate(content: BinaryIO) -> None:
    """Unpack every member to nowhere. Raises BadDocument when what comes out is not what the
    directory says, and everything `inspect` raises."""
    members = inspect(content)
    try:
        with zipfile.ZipFile(content) as archive:
            for member in members:
                with archive.open(member) as unpacked:
                    while unpacked.read(1 << 20):
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise BadDocument(
            "document.corrupt", "The file is damaged: its parts cannot be unpacked."
        ) from error


def _check_directory_size(content: BinaryIO) -> None:
    """zipfile reads the whole directory into memory, whatever it announces."""
    size = content.seek(0, 2)
    content.seek(max(0, size - END_RECORD.size - 0xFFFF))
    tail = content.read()
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END_RECORD.size:
        raise Unreadable
    _, _, _, _, members, directory_bytes, _, _ = END_RECORD.unpack_from(tail, at)
    content.seek(0)
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
    if UNSAFE_NAME.search(member.orig_filename):
        raise BadDocument("document.unsafe", "A part of the file has a name that is not safe.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadDocument("document.unsafe", "A part of the file is a link to somewhere else.")
    if member.flag_bits & ENCRYPTED_FLAG:
        raise BadDocument("document.encrypted", "The file is protected by a password.")


def _is_blown_up(size: int, packed: int) -> bool:
    return size > SMALL_BYTES and size > MAX_RATIO * packed
