"""What calamine does not tell of XLSX and ODS: how much a sheet would fill in memory before it is
loaded, comments, and the errors that stand in cells.

A sheet of two cells in opposite corners is a kilobyte of XML and a rectangle of 17,000 million.
Sections are those of ECMA-376 part 1 and OpenDocument 1.3 part 3.
"""

import io
import itertools
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from apps.processors import opendocument
from apps.processors.package import Package, without_entities

# A cell with its place, 18.3.1.4. Attributes may come in any order, prefixes may stand before;
# six short ones there are, and looking further would take a time that grows with the square.
PLACE = re.compile(rb"<(?:\w{1,50}:)?c\s[^<]{0,500}?\br\s*=\s*[\"']([A-Z]{1,3})(\d{1,7})[\"']")
FAULT = re.compile(
    rb"<(?:\w{1,50}:)?c\s(?=[^<>]{0,500}\bt=[\"']e[\"'])"
    rb"[^<>]{0,500}?\br=[\"']([A-Z]{1,3})(\d{1,7})[\"'][^<>]{0,500}>"
    rb"(?:<(?:\w+:)?f\b[^<]*(?:</(?:\w+:)?f>)?)?<(?:\w+:)?v>([^<]{1,20})<"
)
MAX_FAULTS = 100_000
PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"
TABLE = opendocument.TABLE
CELLS = opendocument.CELLS
SHAPES = (f"{opendocument.DRAW}text-box", f"{opendocument.DRAW}custom-shape")
HAS_VALUE = f"{opendocument.OFFICE}value-type"
# LibreOffice's own, for the standard knows no type of errors.
VALUE_TYPE = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"


@dataclass
class Sheet:
    """`area`: cells in the rectangle that is filled, 0 when not known; `errors` by row and
    column, counted from 0."""

    area: int = 0
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    comments: tuple[str, ...] = ()


def of_xlsx(package: Package) -> dict[str, Sheet]:
    """By name; of XLSB, whose parts are no XML, nothing. Raises etree.XMLSyntaxError."""
    sheets = {}
    for main in package.related("", "/officeDocument").values():
        tree = package.tree(main) if main.endswith(".xml") else None
        parts = package.related(main)
        for entry in () if tree is None else tree.iter("{*}sheet"):
            relation = next((v for key, v in entry.attrib.items() if key.endswith("}id")), "")
            name = parts.get(str(relation), "")
            sheets[entry.get("name", "")] = _sheet(package, name)
    return sheets


def _sheet(package: Package, name: str) -> Sheet:
    part = package.part(name)
    faults = itertools.islice(FAULT.finditer(part), MAX_FAULTS)
    return Sheet(
        area=_area(part),
        errors={
            (int(found[2]) - 1, _column(found[1]) - 1): found[3].decode("ascii", "replace")
            for found in faults
        },
        comments=tuple(_beside(package, name)),
    )


def _area(part: bytes) -> int:
    top = left = 1 << 30
    bottom = right = 0
    columns: dict[bytes, int] = {}
    for found in PLACE.finditer(part):
        letters, digits = found.groups()
        column = columns.get(letters) or columns.setdefault(letters, _column(letters))
        row = int(digits)
        top, bottom = min(top, row), max(bottom, row)
        left, right = min(left, column), max(right, column)
    return (bottom - top + 1) * (right - left + 1) if right else 0


def _column(letters: bytes) -> int:
    """ "A" is 1, "AA" 27."""
    column = 0
    for letter in letters:
        column = column * 26 + letter - 64
    return column


def _beside(package: Package, name: str) -> Iterator[str]:
    """Comments with their cells, the newer kind instead of the older, and text on drawings."""
    seen: set[str] = set()
    for kind, element in (("/threadedComment", "threadedComment"), ("/comments", "comment")):
        told = set()
        for part in package.related(name, kind).values():
            tree = package.tree(part)
            for comment in () if tree is None else tree.iter(f"{{*}}{element}"):
                place = comment.get("ref", "")
                text = " ".join("".join(comment.itertext()).split())
                if text and place not in seen:
                    yield f"[{place}] {text}"
                told.add(place)
        seen |= told
    for part in package.related(name, "/drawing").values():
        tree = package.tree(part)
        for paragraph in () if tree is None else tree.iter(PARAGRAPH):
            if text := "".join(paragraph.itertext()).strip():
                yield text


def of_ods(package: Package) -> dict[str, Sheet]:
    """By name. Raises etree.XMLSyntaxError."""
    sheets: dict[str, Sheet] = {}
    measure = _Measure()
    walk = etree.iterparse(
        io.BytesIO(package.part("content.xml")),
        events=("end",),
        tag=(f"{TABLE}table-row", f"{TABLE}table"),
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
    )
    for _, element in walk:
        if element.tag == f"{TABLE}table-row":
            measure.add(without_entities(element))
        else:
            sheets[element.get(f"{TABLE}name", "")] = measure.sheet
            measure = _Measure()
        element.clear()
    return sheets


def without_blanks(package: Package) -> bytes:
    """The same ODS without the white space between rows and cells, which calamine stumbles over
    and which some programs write. Raises etree.XMLSyntaxError."""
    tree = package.tree("content.xml")
    for element in () if tree is None else tree.iter(f"{TABLE}*"):
        if element.tag not in CELLS:
            element.text = None
        element.tail = None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as plain:
        for name in sorted(package.names - {"content.xml"}):
            if name.endswith((".xml", "mimetype")):
                plain.writestr(name, package.part(name))
        if tree is not None:
            plain.writestr("content.xml", etree.tostring(tree))
    return out.getvalue()


class _Measure:
    """The rectangle of an ODS sheet, repeated rows and cells (9.1.3, 9.1.4) included."""

    def __init__(self) -> None:
        self._row = self._bottom = self._right = 0
        self._errors: dict[tuple[int, int], str] = {}
        self._comments: list[str] = []

    def add(self, row: etree._Element) -> None:
        column = right = 0
        for cell in row:
            if len(cell) or cell.text:
                self._look(cell, column)
                right = column + _repeated(cell, "columns")
            column += _repeated(cell, "columns")
        self._row += _repeated(row, "rows")
        if right:
            self._bottom = self._row
            self._right = max(self._right, right)

    def _look(self, cell: etree._Element, column: int) -> None:
        texts = [opendocument.words(part) for part in cell.iterchildren(*opendocument.PARAGRAPHS)]
        if cell.get(VALUE_TYPE) == "error" and len(self._errors) < MAX_FAULTS:
            self._errors[self._row, column] = " ".join(texts)
        for comment in cell.iterchildren(f"{opendocument.OFFICE}annotation"):
            said = (opendocument.words(part) for part in comment.iter(*opendocument.PARAGRAPHS))
            self._comments.append(f"[{_letters(column + 1)}{self._row + 1}] {' '.join(said)}")
        # calamine takes what is drawn on a cell for its text, unless the cell has no value.
        for shape in () if cell.get(HAS_VALUE) else cell.iter(*SHAPES):
            self._comments += [
                words
                for part in shape.iterchildren(*opendocument.PARAGRAPHS)
                if (words := opendocument.words(part))
            ]

    @property
    def sheet(self) -> Sheet:
        return Sheet(self._bottom * self._right, self._errors, tuple(self._comments))


def _letters(column: int) -> str:
    """The inverse of `_column`."""
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(letter + 65) + letters
    return letters


def _repeated(element: etree._Element, what: str) -> int:
    said = element.get(f"{TABLE}number-{what}-repeated", "1")
    return min(int(said), 1 << 30) if said.isascii() and said.isdigit() else 1
