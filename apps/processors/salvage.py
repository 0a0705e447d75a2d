"""The text of a ZIP-based document whose directory or parts are damaged: whatever still unpacks.

A file cut short has lost the directory at its end, but every part also has a header of its own
(APPNOTE.TXT 4.3.7), and the text usually stands among the first.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from lxml import etree

from apps.processors import archive
from apps.processors.package import DECLARATIONS, VERSION, parser

WARNING = f"The file is damaged. {VERSION} read what could still be unpacked; the rest is missing."
HEADER = struct.Struct("<4s5H3L2H")
SIGNATURE = b"PK\x03\x04"
STORED = 0
PARTS = {
    "docx": r"word/(document|footnotes|endnotes|comments|header\d*|footer\d*)\.xml",
    "pptx": r"ppt/(slides|notesSlides)/\w+\.xml",
    "odt": r"content\.xml",
    "odp": r"content\.xml",
    "ods": r"content\.xml",
    "xlsx": r"xl/sharedStrings\.xml",
    "epub": r".*\.x?html?",
}
MAX_BYTES = 50 * 1024 * 1024
STEP_BYTES = 4096
ENDS_OF_LINES = frozenset({"p", "h", "h1", "h2", "h3", "h4", "li", "tr", "br", "div", "si"})
# Elements whose text nobody sees: fields, deleted words, measures, scripts.
UNSEEN = frozenset({"instrText", "delText", "posOffset", "align", "Fallback", "style", "script"})


def text(content: bytes, kind: str) -> str:
    """The text in the order of the parts; "" when there is nothing to be had."""
    wanted = re.compile(PARTS.get(kind, r"(?!)"))
    lines: list[str] = []
    for _, part in sorted(_parts(content, wanted)):
        if not any(declaration in part for declaration in DECLARATIONS):
            lines += _lines(part)
    return "\n".join(line for line in lines if line)


def _parts(content: bytes, wanted: re.Pattern[str]) -> Iterator[tuple[tuple[bool, int], bytes]]:
    """Parts by a key to sort by: the document itself, then the rest by number."""
    left = MAX_BYTES
    at = content.find(SIGNATURE)
    for _ in range(archive.MAX_MEMBERS):
        if not 0 <= at <= len(content) - HEADER.size:
            break
        _, _, _, method, _, _, _, size, _, name_bytes, extra_bytes = HEADER.unpack_from(content, at)
        start = at + HEADER.size + name_bytes
        name = content[at + HEADER.size : start].decode("utf-8", "replace")
        if wanted.fullmatch(name):
            most = min(size, left) if method == STORED else left
            part = _unpacked(content, start + extra_bytes, method, most)
            left -= len(part)
            number = re.search(r"(\d{1,9})\.\w+$", name)
            yield (not name.endswith("document.xml"), int(number[1]) if number else 0), part
        at = content.find(SIGNATURE, at + len(SIGNATURE))


def _unpacked(content: bytes, start: int, method: int, most: int) -> bytes:
    """Up to the damage, and not more than `most` bytes."""
    if method == STORED:
        return content[start : start + most]
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    while not inflating.eof and start < len(content) and len(out) < most:
        try:
            out += inflating.decompress(content[start : start + STEP_BYTES], most - len(out))
        except zlib.error:
            break
        start += STEP_BYTES
    return bytes(out)


def _lines(part: bytes) -> Iterator[str]:
    try:
        tree = etree.fromstring(part, parser(recover=True))
    except etree.XMLSyntaxError:
        return
    line: list[str] = []
    unseen = 0
    for event, element in () if tree is None else etree.iterwalk(tree, events=("start", "end")):
        # Neither a reference to an entity nor a prefix without a namespace has a local name.
        local = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        unseen += (local in UNSEEN) * (1 if event == "start" else -1)
        found = element.text if event == "start" else element.tail
        line += [found] if found and not unseen else []
        if event == "end" and local in ENDS_OF_LINES:
            yield " ".join("".join(line).split())
            line = []
    yield " ".join("".join(line).split())
