"""Tables of separated values: CSV and its relatives."""

import csv
import io
import re

from apps.processors.described import Described
from apps.processors.tables import MAX_CELLS, TableRoom

DELIMITERS = "\t;|,"  # of two that fit equally the first: the other may divide decimals
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
QUOTED = re.compile(r'"[^"]*"')
SNIFFED_CHARACTERS = 64 * 1024
SNIFFED_LINES = 100
TOO_LONG = "A cell is longer than 131,072 characters: the table is kept as text only."


def describe(text: str) -> Described:
    """How the table is separated, how large it is, and its cells."""
    delimiter = _delimiter(text)
    metadata = {"delimiter": DELIMITER_NAMES[delimiter]}
    rows = columns = cells = 0
    kept: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows += 1
            columns = max(columns, len(row))
            cells += len(row)
            if cells - len(row) <= MAX_CELLS:  # one too many shows that there was no room
                kept.append(row)
    except csv.Error:  # a field longer than the module takes; the text itself is kept
        return Described(metadata, warnings=(TOO_LONG,))
    metadata |= {"rows": str(rows), "columns": str(columns)}
    room = TableRoom()
    return Described(metadata, room.keep([kept]), room.warnings)


def _delimiter(text: str) -> str:
    """The candidate that divides the most first lines into the same number of fields."""
    lines = QUOTED.sub("", text[:SNIFFED_CHARACTERS]).split("\n")[:SNIFFED_LINES]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines if line]
        most_common = max(counts, key=counts.count, default=0)
        return (counts.count(most_common) if most_common else 0, most_common)

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[1] else ","
