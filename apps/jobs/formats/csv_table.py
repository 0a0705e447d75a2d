"""CSV: one row for every file, with its text in the last column."""

from collections.abc import Iterator

from apps.core.csv_rows import BYTE_ORDER_MARK, harmless, quoted, row_in_csv
from apps.jobs.contents import Contents, Entry
from apps.jobs.formats.facts import COLUMNS, row_of
from apps.jobs.formats.format import Format


def write(contents: Contents) -> Iterator[bytes]:
    yield f"{BYTE_ORDER_MARK}{row_in_csv([*COLUMNS, 'text'])}\r\n".encode()
    for entry in contents.entries():
        yield f'{row_in_csv(row_of(entry).values())},"'.encode()
        yield from _text(entry)
        yield b'"\r\n'


def _text(entry: Entry) -> Iterator[bytes]:
    """The inside of the cell, of which only the beginning could be a formula's."""
    if entry.result is None:
        return
    has_begun = False
    for piece in entry.texts():
        yield quoted(piece if has_begun else harmless(piece)).encode()
        has_begun = has_begun or piece != ""


FORMAT = Format(
    name="csv",
    label="CSV",
    media_type="text/csv; charset=utf-8",
    about="A table with one row for each file and its text in the last column.",
    write=write,
    icon="list",
)
