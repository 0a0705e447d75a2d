"""OLE files, made by hand, whole and damaged."""

import io
import struct

import pytest

from apps.processors.errors import BadDocument
from apps.processors.kinds import identify

pytestmark = pytest.mark.once

NOTHING = 0xFFFFFFFF


def entry(name: str, *, child: int = NOTHING, right: int = NOTHING) -> bytes:
    written = name.encode("utf-16-le") + b"\0\0"
    links = struct.pack("<LLL", NOTHING, right, child)
    return (written.ljust(64, b"\0") + struct.pack("<HBB", len(written), 2, 1) + links).ljust(128)


def compound_file(*top: str, inside: str = "", filling: int = 0) -> bytes:
    """An OLE file of three sectors and more: allocation table, root and first stream, the rest.

    `inside` is a stream within the first; `filling` sectors lie before the directory's second.
    """
    nested = len(top) + 1 if inside else NOTHING
    entries = [entry("Root Entry", child=1)]
    for number, name in enumerate(top, 1):
        right = number + 1 if number < len(top) else NOTHING
        entries.append(entry(name, child=nested if number == 1 else NOTHING, right=right))
    if inside:
        entries.append(entry(inside))
    directory = b"".join(entries).ljust(1024, b"\0")
    table = [0xFFFFFFFD, 2 + filling, *[NOTHING] * (126)]
    if filling:
        table[2 : 2 + filling] = [0xFFFFFFFE] * filling
    table[2 + filling] = 0xFFFFFFFE
    header = bytearray(bytes.fromhex("d0cf11e0a1b11ae1").ljust(512, b"\xff"))
    header[30:32] = (9).to_bytes(2, "little")
    header[48:52] = (1).to_bytes(4, "little")
    header[76:80] = (0).to_bytes(4, "little")
    return b"".join(
        (
            bytes(header),
            struct.pack("<128L", *table[:128]),
            directory[:512],
            b"x" * 512 * filling,
            directory[512:],
        )
    )


OLD = compound_file("WordDocument")


def changed(content: bytes, at: int, number: int) -> bytes:
    return content[:at] + struct.pack("<L", number) + content[at + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(changed(OLD, 512 + 4, 1), id="the directory runs in a circle"),
        pytest.param(changed(OLD, 48, 0xFFFFFF00), id="the directory is behind the end"),
        pytest.param(changed(OLD, 512 + 4, 0xFFFFFFF0), id="its second sector is behind the end"),
        pytest.param(changed(OLD, 48, 109 * 128), id="its allocation table is nowhere"),
        pytest.param(changed(OLD, 48, 5_000_000), id="farther than is looked"),
        pytest.param(changed(OLD, 30, 31), id="sectors of 2 GB"),
        pytest.param(changed(OLD, 1024 + 76, 900), id="the root's child is behind the end"),
        pytest.param(OLD[:20], id="no more than a signature"),
    ],
)
def test_a_damaged_compound_file_is_left_to_its_processor(content: bytes) -> None:
    assert identify("a.doc", io.BytesIO(content)).name == "doc"
    with pytest.raises(BadDocument, match=r"document\.mislabelled"):
        identify("a.txt", io.BytesIO(content))


def test_streams_that_follow_each_other_in_circles_end() -> None:
    content = changed(compound_file("a", "b"), 1024 + 2 * 128 + 72, 1)
    with pytest.raises(BadDocument, match=r"document\.mislabelled"):
        identify("a.doc", io.BytesIO(content))


def test_a_directory_behind_the_first_109_places_is_found() -> None:
    """As in files of 7 MB and more: its allocation table's place is named outside the header."""
    small = compound_file(*"abcd", "WordDocument")
    sectors = [small[at : at + 512] for at in range(512, len(small), 512)]
    far = 110 * 128
    size = 512 * (far + 6)
    content = bytearray(size)
    content[:512] = changed(changed(small[:512], 48, far), 68, far + 3)

    def put(sector: int, data: bytes) -> None:
        content[512 * (sector + 1) : 512 * (sector + 2)] = data

    put(far, sectors[1])
    put(far + 1, sectors[2])
    put(far + 3, struct.pack("<128L", 0, far + 4, *[NOTHING] * 126))
    put(far + 4, struct.pack("<128L", far + 1, 0xFFFFFFFE, *[NOTHING] * 126))
    assert identify("a.doc", io.BytesIO(content)).name == "doc"
    with pytest.raises(BadDocument, match="looks like DOC"):
        identify("a.xls", io.BytesIO(content))
