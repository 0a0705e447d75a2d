"""Tables of one page of a document, bounded however large they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

MAX_TABLES = 20
MAX_ROWS = 100
MAX_COLUMNS = 30
MAX_CELL_CHARACTERS = 300


@dataclass(frozen=True)
class ShownTable:
    """The first rows and columns, every row as wide as the others, and how many more there are."""

    head: list[str]
    rows: list[list[str]]
    more_rows: int
    more_columns: int


def shown_tables(tables: Sequence[Sequence[Sequence[str]]]) -> list[ShownTable]:
    """The first of `tables` (rows of cells) that hold anything."""
    found = (table for table in tables if any(any(row) for row in table))
    return [_shown(table) for table in islice(found, MAX_TABLES)]


def _shown(table: Sequence[Sequence[str]]) -> ShownTable:
    width = max(map(len, table))
    columns = min(width, MAX_COLUMNS)
    head, *rows = [_cells(row, columns) for row in table[: MAX_ROWS + 1]]
    return ShownTable(head, rows, len(table) - 1 - len(rows), width - columns)


def _cells(row: Sequence[str], columns: int) -> list[str]:
    cells = [_shortened(cell) for cell in row[:columns]]
    return cells + [""] * (columns - len(cells))


def _shortened(cell: str) -> str:
    is_short = len(cell) <= MAX_CELL_CHARACTERS
    return cell if is_short else f"{cell[: MAX_CELL_CHARACTERS - 1]}…"
