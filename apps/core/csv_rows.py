"""Rows of CSV that no spreadsheet computes with.

A cell that a spreadsheet would take for a formula has an apostrophe in front (OWASP, CSV
Injection); every cell is quoted, so that none can begin another.
"""

import re
from collections.abc import Iterable

BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""Full-width ones too: some spreadsheets take them for the others."""
BLANK = re.compile("[\\s\x00\ufeff\u200b-\u200f\u2060]*")
"""What some of them take off before they look."""
BYTE_ORDER_MARK = "\ufeff"
"""By which Excel knows UTF-8."""


def row_in_csv(cells: Iterable[str | int | None]) -> str:
    """The cells between commas, without the end of the line."""
    return ",".join(f'"{quoted(harmless(cell))}"' for cell in cells)


def harmless(cell: str | int | None) -> str:
    """The cell as no spreadsheet computes with it. Numbers are our own, and never negative."""
    text = "" if cell is None else str(cell)
    rest = BLANK.sub("", text, count=1)
    # Behind nothing but blanks there may be more to come, of which this is the first piece.
    is_doubtful = text.startswith(BEGIN_FORMULAS) or rest.startswith(BEGIN_FORMULAS) or not rest
    return f"'{text}" if text and is_doubtful else text


def quoted(text: str) -> str:
    return text.replace('"', '""')
