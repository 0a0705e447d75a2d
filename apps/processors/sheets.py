"""Spreadsheets, by calamine: every sheet is a page, its rows are lines, its cells are divided by
tabs."""

import datetime
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import python_calamine
from lxml import etree

from apps.processors import language, package, properties, salvage, workbook
from apps.processors.decrypt import Decrypter
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.tables import TableRoom

VERSION = f"calamine {version('python-calamine')}"
DAMAGED = "The spreadsheet is damaged and cannot be read."
MAX_CELLS = 2_000_000
"""Read of one file, empty ones between others included."""
MAX_CHARACTERS = 16_000_000
MAX_AREA = 5_000_000
"""Cells of the rectangle that a sheet fills, all of which calamine holds, 32 bytes and more."""
MAX_SHEETS = 2000
LISTED_SHEETS = 20
FLAT = str.maketrans("\t\n\r", "   ")

Rows = list[list[str]]


@dataclass
class Book:
    """What is known of a workbook besides what calamine reads."""

    sheets: dict[str, workbook.Sheet]
    metadata: dict[str, str]


class SheetProcessor:
    """Values as they were last calculated: dates in ISO 8601, percentages as fractions."""

    name = "sheets"
    version = VERSION
    operations = frozenset({"extract"})
    accepts = frozenset({"xlsx", "xls", "xlsb", "ods"})

    def __init__(self) -> None:
        self._language = language.shared()
        self._decrypter = Decrypter()

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "checking")
        content = document.path.read_bytes()
        opened = self._decrypter.opened(content, document.kind, document.options.password)
        try:
            book = _book(opened, document.kind)
            reader = _Reader(_workbook(opened, document.kind), book)
            pages, engine = reader.pages(document, report), VERSION
            warnings, partial = tuple(reader.warnings), reader.partial
            metadata = {**book.metadata, "sheets": str(reader.count)}
        except BadDocument as error:
            if error.code != "document.corrupt":
                raise
            pages, warnings = _salvaged(opened, document.kind, error)
            engine, partial, metadata = package.VERSION, True, {}
            report(1, 1, "repaired")
        return Extraction(
            pages=pages,
            kind=document.kind,
            engine=engine,
            language=self._language("\n".join(page.text for page in pages[:10])),
            metadata=metadata,
            warnings=warnings,
            quality="partial" if partial else "full",
        )


class _Reader:
    """Reads sheets one by one and remembers what was wrong with them."""

    def __init__(self, opened: Any, book: Book) -> None:
        self._workbook = opened
        self._book = book
        self._cells = MAX_CELLS
        self._characters = MAX_CHARACTERS
        self._room = TableRoom()
        self.count = len(opened.sheets_metadata)
        self._hidden: list[str] = []
        self._damaged: list[str] = []
        self._too_large: list[str] = []
        self._cut: list[str] = []
        self._empty = False

    def pages(self, document: Document, report: Report) -> tuple[Page, ...]:
        numbers = _chosen(self.count, document)
        pages = []
        for done, number in enumerate(numbers, 1):
            name = self._workbook.sheets_metadata[number - 1].name
            report(done - 1, len(numbers), name)
            pages.append(self._page(number))
            report(done, len(numbers), name, page=pages[-1])
        self._empty = not any(page.text for page in pages)
        if len(self._damaged) == len(numbers):
            raise BadDocument("document.corrupt", DAMAGED)
        if self._empty and self._too_large:
            raise _too_large()
        return tuple(pages)

    def _page(self, number: int) -> Page:
        told = self._workbook.sheets_metadata[number - 1]
        known = self._book.sheets.get(told.name, workbook.Sheet())
        if told.visible != python_calamine.SheetVisibleEnum.Visible:
            self._hidden.append(told.name)
        if known.area > MAX_AREA:
            self._too_large.append(told.name)
            return Page(number, "", label=told.name)
        rows = self._rows(number, told.name, known)
        lines = ["\t".join(cell.translate(FLAT) for cell in row).rstrip() for row in rows]
        text = "\n".join((*lines, *known.comments)).strip("\n")
        return Page(number, text, label=told.name, tables=self._room.keep([rows]))

    def _rows(self, number: int, name: str, known: workbook.Sheet) -> Rows:
        """The used rectangle of a sheet, as far as there is room."""
        rows: Rows = []
        try:
            sheet = _guarded(lambda: self._workbook.get_sheet_by_index(number - 1))
        except BadDocument:
            self._damaged.append(name)
            return rows
        top, left = sheet.start or (0, 0)
        for at, row in enumerate(sheet.iter_rows()):
            if at < top:
                continue
            cells = [
                shown(value) or known.errors.get((at, left + column), "")
                for column, value in enumerate(row)
            ]
            self._cells -= len(cells)
            self._characters -= sum(map(len, cells)) + len(cells)
            if self._cells < 0 or self._characters < 0:
                self._cut.append(name)
                break
            rows.append(cells)
        return rows

    @property
    def partial(self) -> bool:
        return bool(self._damaged or self._too_large or self._cut)

    @property
    def warnings(self) -> Iterator[str]:
        if self._damaged:
            yield f"Damaged and not read: {_listed(self._damaged)}."
        if self._too_large:
            yield f"Filling more than {MAX_AREA:,} cells and not read: {_listed(self._too_large)}."
        if self._cut:
            yield (
                f"Only the first {MAX_CELLS:,} cells and {MAX_CHARACTERS:,} characters are read; "
                f"missing are parts of {_listed(self._cut)}."
            )
        if self._hidden:
            yield f"Hidden sheets are read too: {_listed(self._hidden)}."
        if self._empty and not self._damaged:
            yield "There is no text in the file."
        yield from self._room.warnings


def shown(value: object) -> str:
    """A cell as text. Numbers have the 15 digits that spreadsheets know."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return f"{value:.15g}"
        case datetime.timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            hours, minutes = divmod(minutes, 60)
            return f"PT{hours:02}H{minutes:02}M{seconds:02}S"
        case datetime.date() | datetime.time():  # a datetime is a date too
            return value.isoformat()
    return str(value)


def _book(content: bytes, kind: str) -> Book:
    """Raises BadDocument when the guard of the format does."""
    if kind == "xls":
        return Book({}, properties.of_ole(content))
    parts = package.Package(content, DAMAGED)
    try:
        if kind == "ods":
            sheets = workbook.of_ods(parts)
            if sum(sheet.area for sheet in sheets.values()) > MAX_AREA:
                raise _too_large()  # calamine holds all sheets at once
            return Book(sheets, properties.of_odf(parts))
        return Book(workbook.of_xlsx(parts), properties.of_ooxml(parts))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadDocument("document.corrupt", DAMAGED) from error


def _too_large() -> BadDocument:
    return BadDocument(
        "document.bomb", f"The sheets fill more than {MAX_AREA:,} cells, too many to read."
    )


def _workbook(content: bytes, kind: str) -> Any:
    try:
        return _guarded(lambda: python_calamine.load_workbook(io.BytesIO(content)))
    except BadDocument:
        if kind != "ods":
            raise
    parts = package.Package(content, DAMAGED)
    return _guarded(
        lambda: python_calamine.load_workbook(io.BytesIO(workbook.without_blanks(parts)))
    )


def _guarded(read: Callable[[], Any]) -> Any:
    """Raises BadDocument "document.corrupt" for whatever calamine raises."""
    try:
        return read()
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise BadDocument("document.corrupt", DAMAGED) from error
    except BaseException as error:
        # A panic of Rust, which is no Exception; its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise BadDocument("document.corrupt", DAMAGED) from error


def _salvaged(
    content: bytes, kind: str, error: BadDocument
) -> tuple[tuple[Page, ...], tuple[str, ...]]:
    """The second engine. Raises `error` again when it finds nothing either."""
    text = salvage.text(content, kind)
    if not text:
        raise error
    return (Page(1, text),), (salvage.WARNING,)


def _chosen(count: int, document: Document) -> list[int]:
    if not count:
        raise BadDocument("document.empty", "The file has no sheets.")
    numbers = document.options.page_numbers(count)
    if not numbers:
        raise BadDocument(
            "document.pages", f"The file has {count} sheets; none of the chosen ones is in it."
        )
    if len(numbers) > MAX_SHEETS:
        raise BadDocument(
            "document.too_many_pages",
            f"The file has {count} sheets; up to {MAX_SHEETS} are read at once. Choose a range.",
        )
    return numbers


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED_SHEETS} more" if len(names) > LISTED_SHEETS else ""
    return ", ".join(names[:LISTED_SHEETS]) + more
