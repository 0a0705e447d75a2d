"""What lies at the top of an OLE compound file (DOC, XLS, PPT, MSG, locked OOXML): names only.

Small and bounded, for the web process looks too: the libraries for this read the whole table of
sectors, and a directory as large as the file says. Sections are those of [MS-CFB].
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

START = bytes.fromhex("d0cf11e0a1b11ae1")
HEADER_BYTES = 512
HEADER_PLACES = 109
"""So many sectors of the allocation table (FAT) are named in the header, 2.2."""
SECTOR_SHIFTS = (9, 12)
MAX_DIRECTORY_BYTES = 1 << 20
MAX_TABLE_HOPS = 300
"""Each names the places for 8 MB of file at least, 2.5: enough for 2 GB."""
MAX_SECTOR = 0xFFFFFFFA  # 2.1; what is above marks the end of a chain and the like
ENTRY_BYTES = 128
NO_ENTRY = 0xFFFFFFFF


class Unreadable(Exception):
    """Damaged, larger than is looked at, or no compound file at all."""


def top_names(content: BinaryIO) -> frozenset[str]:
    """The names of streams and storages directly under the root. Reads 1.3 MB at most.

    Raises Unreadable.
    """
    try:
        directory = b"".join(_Sectors(content).directory())
        return frozenset(_siblings(directory))
    except (struct.error, UnicodeDecodeError) as error:
        raise Unreadable from error


class _Sectors:
    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        content.seek(0)
        self._header = content.read(HEADER_BYTES)
        shift = self._number(self._header, 30) & 0xFFFF
        if not self._header.startswith(START) or shift not in SECTOR_SHIFTS:
            raise Unreadable
        self._bytes = 1 << shift

    def directory(self) -> Iterator[bytes]:
        """The sectors of the directory, in order (2.6)."""
        sector = self._number(self._header, 48)
        for _ in range(MAX_DIRECTORY_BYTES // self._bytes):
            if sector > MAX_SECTOR:
                return
            yield self._read(sector)
            sector = self._after(sector)
        raise Unreadable

    def _after(self, sector: int) -> int:
        """What the allocation table says comes after `sector` (2.3)."""
        place, index = divmod(sector, self._bytes // 4)
        return self._number(self._read(self._table_sector(place)), 4 * index)

    def _table_sector(self, place: int) -> int:
        """Where the allocation table's sector number `place` is (2.5)."""
        if place < HEADER_PLACES:
            return self._number(self._header, 76 + 4 * place)
        each = self._bytes // 4 - 1
        hops, index = divmod(place - HEADER_PLACES, each)
        if hops > MAX_TABLE_HOPS:
            raise Unreadable
        names = self._read(self._number(self._header, 68))
        for _ in range(hops):
            names = self._read(self._number(names, 4 * each))
        return self._number(names, 4 * index)

    def _read(self, sector: int) -> bytes:
        if sector > MAX_SECTOR:
            raise Unreadable
        self._content.seek((sector + 1) * self._bytes)
        read = self._content.read(self._bytes)
        if len(read) < self._bytes:
            raise Unreadable
        return read

    @staticmethod
    def _number(source: bytes, at: int) -> int:
        return int(struct.unpack_from("<L", source, at)[0])


def _siblings(directory: bytes) -> Iterator[str]:
    """The root's children are a binary tree (2.6.4), whose links may lead anywhere."""
    (first,) = struct.unpack_from("<L", directory, 76)
    ahead, seen = [first], {NO_ENTRY}
    while ahead:
        number = ahead.pop()
        if number in seen:
            continue
        seen.add(number)
        entry = directory[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES]
        name_bytes, _, left, right = struct.unpack_from("<HHLL", entry, 64)
        yield entry[: max(0, min(name_bytes, 64) - 2)].decode("utf-16-le")
        ahead += (left, right)
