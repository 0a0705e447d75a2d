"""XLSX: a sheet about the job, one with a row for every file, one with the text of every page.

Every cell is written as text or as a number, never as a formula. Excel's limits are kept to: a text
that is longer than a cell goes on in the next row, and a sheet that is full in another; characters
that XML cannot have are replaced. The first sheet says so.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apps.jobs import storage
from apps.jobs.contents import Contents, Entry
from apps.jobs.formats.facts import COLUMNS, row_of
from apps.jobs.formats.format import Format

MAX_UNITS = 32_767
"""Of a cell, in UTF-16: a character beyond U+FFFF counts twice."""
MAX_ROWS = 1_048_576
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
WIDEST = "\uffff"
CHUNK = 64 * 1024
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TEXT_COLUMNS = ("job_id", "position", "name", "page", "part", "text")
WIDTHS = {"name": 36, "text": 100, "error_detail": 50, "advice": 40, "warnings": 40}
NARROW = 14

Cell = str | int | None


def write(contents: Contents) -> Iterator[bytes]:
    with storage.incoming() as folder:
        with storage.refusing_when_full():
            path = _Book(contents, folder).save()
        with path.open("rb") as whole:
            while chunk := whole.read(CHUNK):
                yield chunk


def parts_of(text: str) -> Iterator[str]:
    """`text` in pieces that fit into a cell each; one, though empty, of an empty text."""
    length = MAX_UNITS if not text or max(text) <= WIDEST else MAX_UNITS // 2
    for start in range(0, max(1, len(text)), length):
        yield text[start : start + length]


class _Sheet:
    """Rows under each other, in as many sheets as they need."""

    def __init__(self, book: Any, name: str, columns: Sequence[str]) -> None:
        self._book, self._name, self._columns = book, name, columns
        self._bold = book.add_format({"bold": True})
        self._count = 0
        self._begin()

    def _begin(self) -> None:
        self._count += 1
        name = self._name if self._count == 1 else f"{self._name} {self._count}"
        self._sheet = self._book.add_worksheet(name)
        self._sheet.freeze_panes(1, 0)
        for column, title in enumerate(self._columns):
            self._sheet.set_column(column, column, WIDTHS.get(title, NARROW))
            self._sheet.write_string(0, column, title, self._bold)
        self._next = 1

    def add(self, cells: Sequence[Cell]) -> None:
        if self._next == MAX_ROWS:
            self._begin()
        for column, cell in enumerate(cells):
            if isinstance(cell, int):
                self._sheet.write_number(self._next, column, cell)
            elif cell:
                self._sheet.write_string(self._next, column, cell)
        self._next += 1


class _Book:
    """The workbook of `contents`, made in `folder`: rows go to disk as they are written."""

    def __init__(self, contents: Contents, folder: Path) -> None:
        self._contents = contents
        self._path = folder / "results.xlsx"
        options = {"constant_memory": True, "tmpdir": str(folder), "in_memory": False}
        # Every process has the formats, and hardly any writes this one.
        import xlsxwriter

        self._book = xlsxwriter.Workbook(self._path, options)
        self._book.use_zip64()
        self._book.set_properties({"created": contents.moment.replace(tzinfo=None)})
        self._replaced = self._split = self._cut = 0

    def save(self) -> Path:
        from xlsxwriter.exceptions import FileCreateError

        about = self._book.add_worksheet("About")
        files = _Sheet(self._book, "Files", COLUMNS)
        texts = _Sheet(self._book, "Text", TEXT_COLUMNS)
        for entry in self._contents.entries():
            files.add([self._fitting(cell) for cell in row_of(entry).values()])
            self._add_text(texts, entry)
        # Last, for it tells what had to be done; it is the first sheet nevertheless.
        about.set_column(0, 0, 24)
        about.set_column(1, 1, 100)
        for row, (name, told) in enumerate(self._about()):
            about.write_string(row, 0, name)
            about.write_string(row, 1, told)
        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from error  # the OSError that it hides
        return self._path

    def _add_text(self, sheet: _Sheet, entry: Entry) -> None:
        if entry.result is None:
            return
        name = self._fitting(entry.file.name)
        who = (str(entry.file.job_id), entry.file.position, name)
        for page in entry.pages():
            text = self._legal(str(page["text"]))
            parts = list(parts_of(text))
            self._split += len(parts) > 1
            for number, part in enumerate(parts, start=1):
                sheet.add([*who, int(page["number"]), number, part])

    def _fitting(self, cell: Cell) -> Cell:
        """The cell, cut where it is too long: warnings may be. The text of pages is not cut."""
        if not isinstance(cell, str):
            return cell
        first, *rest = parts_of(self._legal(cell))
        self._cut += bool(rest)
        return first

    def _legal(self, text: str) -> str:
        legal, replaced = ILLEGAL.subn("\ufffd", text)
        self._replaced += replaced
        return legal

    def _about(self) -> Iterator[tuple[str, str]]:
        for section in self._contents.sections:
            job = section.job
            yield "Job", str(job.id)
            yield "Name", str(self._fitting(job.name))
            yield "Operation", job.operation
            yield "State", job.state
            yield "Files", str(len(section.files))
            yield "Complete", "yes" if section.is_complete else "no: it was still running"
            until = "kept" if job.is_kept else f"{job.expires_at:%Y-%m-%d %H:%M} UTC"
            yield "Results until", until
            yield "", ""
        yield "Texts split", f"{self._split}. {SPLIT}"
        yield "Cells cut", f"{self._cut}. {CUT}"
        yield "Characters replaced", f"{self._replaced}. {REPLACED}"
        yield "Full sheets", FULL


SPLIT = (
    f"A cell holds {MAX_UNITS:,} characters; a page with more goes on in the next row, as part 2 "
    "and so on."
)
CUT = f"Anything but the text of pages ends after {MAX_UNITS:,} characters."
REPLACED = "Control characters that a workbook cannot have are shown as \ufffd."
FULL = f"A sheet holds {MAX_ROWS:,} rows; further rows are in a sheet with the next number."

FORMAT = Format(
    name="xlsx",
    label="Excel",
    media_type=MEDIA_TYPE,
    about="A workbook with a sheet of all files and one with the text of each page.",
    write=write,
    is_streamed=False,
    icon="list",
)
