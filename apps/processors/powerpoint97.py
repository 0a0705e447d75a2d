"""The speaker notes of PPT files, which xberg passes over ([MS-PPT])."""

import io
import struct
from collections.abc import Iterator

STREAM = "PowerPoint Document"
HEADER = struct.Struct("<HHL")  # 2.3.1: version and instance, type, length
CONTAINER = 0xF
NOTES = 0x03F0  # 2.5.6
LIST_OF_TEXTS = 0x0FF0  # 2.4.14.3 and others: of slides, masters or, as instance 2, notes
INSTANCE_OF_NOTES = 2
WIDE_TEXT, NARROW_TEXT = 0x0FA0, 0x0FA8  # 2.9.42, 2.9.43
FIELD = "*"  # stands for the number of a page
LINE_ENDS = str.maketrans("\r\v", "\n\n")
MAX_DEPTH = 20


def notes(content: bytes) -> list[str]:
    """Each said once; nothing of a damaged file."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as container:
            stream = container.openstream(STREAM).read()
    except Exception:  # noqa: BLE001 (olefile raises anything over a damaged container)
        return []
    return list(dict.fromkeys(_notes(memoryview(stream))))


def _notes(stream: memoryview, depth: int = MAX_DEPTH, *, within: bool = False) -> Iterator[str]:
    """Texts within notes; records that claim to be longer than what holds them end the walk."""
    at = 0
    while at + HEADER.size <= len(stream):
        version, kind, length = HEADER.unpack_from(stream, at)
        at += HEADER.size
        body = stream[at : at + length]
        at += length
        if version & 0xF == CONTAINER and depth:
            begins = kind == NOTES or (kind == LIST_OF_TEXTS and version >> 4 == INSTANCE_OF_NOTES)
            yield from _notes(body, depth - 1, within=within or begins)
        elif within and kind in (WIDE_TEXT, NARROW_TEXT):
            encoding = "utf-16-le" if kind == WIDE_TEXT else "latin-1"
            text = bytes(body).decode(encoding, "replace").translate(LINE_ENDS).strip()
            if text and text != FIELD:
                yield text
