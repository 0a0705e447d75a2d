"""Writes compound files ([MS-CFB], version 3), the container of MSG and PPT."""

import io
import struct
from dataclasses import dataclass, field

import olefile

SECTOR, MINI_SECTOR, CUTOFF = 512, 64, 4096
FREE, END, FAT_SECTOR, NOTHING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
STORAGE, STREAM, ROOT = 1, 2, 5
RED, BLACK = 0, 1
THUMBNAIL = 17  # [MS-OLEPS] 3.1.17, PIDSI_THUMBNAIL


@dataclass
class Node:
    """An entry of the directory; `children` of a storage by name."""

    name: str
    kind: int
    content: bytes = b""
    children: "dict[str, Node]" = field(default_factory=dict)
    number: int = 0
    left: int = NOTHING
    right: int = NOTHING
    child: int = NOTHING
    colour: int = BLACK
    start: int = 0


class Chains:
    """Sectors of one size with the table of what follows what."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.data = b""
        self.table: list[int] = []

    def add(self, content: bytes) -> int:
        """Where the content begins."""
        if not content:
            return END
        first = len(self.table)
        count = -(-len(content) // self._size)
        self.data += content.ljust(count * self._size, b"\0")
        self.table += [*range(first + 1, first + count), END]
        return first


def packed(streams: dict[str, bytes]) -> bytes:
    """A compound file of these streams, "/" between storages."""
    root = Node("Root Entry", ROOT)
    for path, content in streams.items():
        *folders, name = path.split("/")
        storage = root
        for folder in folders:
            storage = storage.children.setdefault(folder, Node(folder, STORAGE))
        storage.children[name] = Node(name, STREAM, content)
    nodes = _numbered(root)
    large, small = Chains(SECTOR), Chains(MINI_SECTOR)
    for node in nodes:
        if node.kind == STREAM:
            node.start = (large if len(node.content) >= CUTOFF else small).add(node.content)
    root.content = small.data
    root.start = large.add(small.data)
    mini_table = large.add(_longs(small.table, pad=SECTOR // 4))
    directory = large.add(b"".join(map(_entry, nodes)).ljust(-(-len(nodes) // 4) * SECTOR, b"\0"))
    return _file(large, directory, mini_table, len(small.table))


def _file(large: Chains, directory: int, mini_table: int, mini_sectors: int) -> bytes:
    tables = 1
    while tables * SECTOR // 4 < len(large.table) + tables:
        tables += 1
    first = len(large.table)
    at = list(range(first, first + tables))
    table = _longs([*large.table, *[FAT_SECTOR] * tables], pad=SECTOR // 4)
    mini_tables = -(-mini_sectors * 4 // SECTOR)
    header = struct.pack(
        "<8s16x5H6x9L",
        olefile.MAGIC,
        0x3E,
        3,
        0xFFFE,
        9,
        6,
        *(0, tables, directory, 0, CUTOFF, mini_table, mini_tables, END, 0),
    )
    return header + _longs(at, pad=109) + large.data + table


def _numbered(root: Node) -> list[Node]:
    """All nodes, each storage's children as a balanced tree ([MS-CFB] 2.6.4)."""
    nodes = [root]
    for storage in nodes:  # grows while it is gone through
        children = sorted(
            storage.children.values(), key=lambda node: (len(node.name), node.name.upper())
        )
        for number, node in enumerate(children, len(nodes)):
            node.number = number
        nodes += children
        storage.child = _tree(children, len(children).bit_length())
    return nodes


def _tree(nodes: list[Node], height: int) -> int:
    """The number of the middle one; only the lowest row, which may have gaps, is red."""
    if not nodes:
        return NOTHING
    middle = len(nodes) // 2
    node = nodes[middle]
    node.left = _tree(nodes[:middle], height - 1)
    node.right = _tree(nodes[middle + 1 :], height - 1)
    node.colour = RED if height == 1 else BLACK
    return node.number


def _entry(node: Node) -> bytes:
    name = node.name.encode("utf-16-le")
    return struct.pack(
        "<64sH2B3L36xLQ",
        name,
        len(name) + 2,
        node.kind,
        node.colour,
        *(node.left, node.right, node.child, node.start, len(node.content)),
    )


def _longs(numbers: list[int], *, pad: int) -> bytes:
    missing = -len(numbers) % pad
    return struct.pack(f"<{len(numbers) + missing}L", *numbers, *[FREE] * missing)


def without_thumbnail(content: bytes) -> bytes:
    """The compound file again, less the picture of 590 kB that LibreOffice puts into it."""
    with olefile.OleFileIO(io.BytesIO(content)) as file:
        streams = {"/".join(path): file.openstream(path).read() for path in file.listdir()}
    summary = "\x05SummaryInformation"
    streams[summary] = _less(streams[summary], THUMBNAIL)
    return packed(streams)


def _less(properties: bytes, left_out: int) -> bytes:
    """A property set of one section without one of its properties ([MS-OLEPS] 2.20)."""
    start = struct.unpack_from("<L", properties, 44)[0]
    size, count = struct.unpack_from("<2L", properties, start)
    entries = [struct.unpack_from("<2L", properties, start + 8 + 8 * at) for at in range(count)]
    ends = sorted([*(offset for _, offset in entries), size])
    values = {
        identifier: properties[start + offset : start + ends[ends.index(offset) + 1]]
        for identifier, offset in entries
        if identifier != left_out
    }
    offset, table = 8 + 8 * len(values), b""
    for identifier, value in values.items():
        table += struct.pack("<2L", identifier, offset)
        offset += len(value)
    head = struct.pack("<2L", offset, len(values))
    return properties[:start] + head + table + b"".join(values.values())
