"""ODT and ODP (OpenDocument 1.3 part 3), by lxml: all text there is, in the order of the file.

xberg leaves out what stands in drawn shapes, which in a presentation may be most of it.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from apps.processors.package import Package, resolved

_NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, DRAW, SHOW, STYLE = (
    f"{{{_NAMESPACE}{name}:1.0}}"
    for name in ("office", "text", "table", "drawing", "presentation", "style")
)
HREF = "{http://www.w3.org/1999/xlink}href"
PARAGRAPHS = frozenset({f"{TEXT}p", f"{TEXT}h"})
# Stand inside a paragraph but are read after it.
APART = frozenset({f"{TEXT}note", f"{OFFICE}annotation"})
# Deleted text, template text, marks, geometry; a slide's notes are asked for by name.
SKIPPED = frozenset(
    {
        f"{TEXT}tracked-changes",
        f"{TEXT}note-citation",
        f"{TEXT}sequence-decls",
        f"{OFFICE}forms",
        f"{OFFICE}event-listeners",
        f"{SHOW}notes",
        f"{DRAW}page-thumbnail",
        f"{DRAW}enhanced-geometry",
        "{http://purl.org/dc/elements/1.1/}creator",
        "{http://purl.org/dc/elements/1.1/}date",
        "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}date-string",
        "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}creator-initials",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}title",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}desc",
    }
)
ROWS = frozenset({f"{TABLE}table-rows", f"{TABLE}table-header-rows", f"{TABLE}table-row-group"})
CELLS = (f"{TABLE}table-cell", f"{TABLE}covered-table-cell")
MARGINS = tuple(
    f"{STYLE}{name}{page}" for name in ("header", "footer") for page in ("", "-left", "-first")
)
# Of the page of notes: the picture of the slide and what is printed in the margins.
NO_NOTES = frozenset({"page", "page-number", "header", "footer", "date-time"})
SPACES = re.compile(r"[ \t\r\n]+")
# Stand for elements while a line is put together; XML allows none of them.
KEPT = str.maketrans("\x1c\x1d\x1e", " \t\n")
MAX_REPEATED = 1000


@dataclass
class Part:
    """The text of a text document or of one slide; what `tables` hold is in `lines` too."""

    label: str = ""
    lines: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()


def text_document(package: Package) -> Part:
    """Raises etree.XMLSyntaxError, and ValueError when the content is missing."""
    part = Part()
    reader = _Reader(package, part)
    reader.blocks(_body(package))
    styles = package.tree("styles.xml")
    # The margins of pages follow the text: which page is whose only a layout engine knows.
    for margin in () if styles is None else styles.iter(*MARGINS):
        reader.blocks(margin)
    return part


def slides(package: Package) -> Iterator[Part]:
    """Raises etree.XMLSyntaxError, and ValueError when the content is missing."""
    for page in _body(package).iter(f"{DRAW}page"):
        part = Part(label=_title(page))
        reader = _Reader(package, part)
        reader.blocks(page)
        for notes in page.iter(f"{SHOW}notes"):
            for shape in notes:
                if shape.get(f"{SHOW}class") not in NO_NOTES:
                    reader.blocks(shape)
        yield part


def _body(package: Package) -> etree._Element:
    content = package.tree("content.xml")
    body = None if content is None else content.find(f"{OFFICE}body")
    if body is None:
        raise ValueError("no content")
    return body


def _title(page: etree._Element) -> str:
    for frame in page.iter(f"{DRAW}frame"):
        if frame.get(f"{SHOW}class") == "title":
            return " ".join(words(paragraph) for paragraph in frame.iter(*PARAGRAPHS))
    return ""


def words(paragraph: etree._Element) -> str:
    """A paragraph by itself, in one line."""
    return " ".join(_line(paragraph, []).split())


def _line(paragraph: etree._Element, later: list[etree._Element]) -> str:
    """White space as 6.1.2 says: runs of it are one space, what elements stand for is kept."""
    text = SPACES.sub(" ", "".join(_inline(paragraph, later))).strip(" ")
    return text.translate(KEPT)


class _Reader:
    """Walks through elements and adds to `part`. libxml2 lets no element lie deeper than 256."""

    def __init__(self, package: Package, part: Part, *, within: bool = False) -> None:
        self._package = package
        self._part = part
        self._within = within

    def blocks(self, element: etree._Element) -> None:
        for child in element:
            if child.tag in SKIPPED or not isinstance(child.tag, str):
                continue
            if child.tag in PARAGRAPHS:
                self._paragraph(child)
            elif child.tag == f"{TABLE}table":
                self._table(child)
            elif child.tag == f"{DRAW}object":
                self._object(child)
            else:
                self.blocks(child)

    def _paragraph(self, element: etree._Element) -> None:
        later: list[etree._Element] = []
        self._part.lines.append(_line(element, later))
        for found in later:
            self.blocks(found)

    def _object(self, element: etree._Element) -> None:
        """A chart or a formula has its own part; one inside another is left alone."""
        name = posixpath.join(resolved("", element.get(HREF, "")), "content.xml")
        tree = None if self._within else self._package.tree(name)
        if tree is not None:
            inner = _Reader(self._package, self._part, within=True)
            if tree.find(f"{OFFICE}body") is not None:
                inner.blocks(tree)
            else:  # MathML
                self._part.lines.append(" ".join(" ".join(tree.itertext()).split()))

    def _table(self, element: etree._Element) -> None:
        rows = [row for found in _rows(element) for row in self._row(found)]
        width = max(map(len, rows), default=0)
        if width:
            rows = [row + [""] * (width - len(row)) for row in rows]
            self._part.tables.append(rows)
            self._part.lines.extend("\t".join(row).rstrip() for row in rows)

    def _row(self, element: etree._Element) -> list[list[str]]:
        row: list[str] = []
        for cell in element.iterchildren(*CELLS):
            inner = Part()
            _Reader(self._package, inner, within=self._within).blocks(cell)
            text = " ".join(line for line in inner.text.split("\n") if line)
            row += [text] * _repeated(cell, "columns")
        while row and not row[-1]:
            row.pop()
        return [row] * (_repeated(element, "rows") if row else 1)


def _rows(element: etree._Element) -> Iterator[etree._Element]:
    for child in element:
        if child.tag == f"{TABLE}table-row":
            yield child
        elif child.tag in ROWS:
            yield from _rows(child)


def _repeated(element: etree._Element, what: str) -> int:
    return _count(element.get(f"{TABLE}number-{what}-repeated", "1"))


def _count(said: str) -> int:
    return min(int(said), MAX_REPEATED) if said.isascii() and said.isdigit() else 1


def _inline(element: etree._Element, later: list[etree._Element]) -> Iterator[str]:
    """The text of a paragraph; what stands apart goes to `later`."""
    yield element.text or ""
    for child in element:
        if child.tag == f"{TEXT}s":
            yield "\x1c" * _count(child.get(f"{TEXT}c", "1"))
        elif child.tag == f"{TEXT}tab":
            yield "\x1d"
        elif child.tag == f"{TEXT}line-break":
            yield "\x1e"
        elif child.tag in APART or str(child.tag).startswith(DRAW):
            later.append(child)
        elif isinstance(child.tag, str) and child.tag not in SKIPPED:
            yield from _inline(child, later)
        yield child.tail or ""
