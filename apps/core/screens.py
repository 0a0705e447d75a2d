"""What commands write: tables for people, or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """Rows with the same names, and other tables that go with them."""

    title: str
    rows: Sequence[Row]
    name: str = ""
    more: Mapping[str, Sequence[Row]] = field(default_factory=dict)


def as_json(told: Told) -> str:
    named = {"for": told.name} if told.name else {}
    return json.dumps({**named, told.title: told.rows, **told.more}, indent=2)


def as_text(told: Told) -> str:
    """Tables, one below the other."""
    lines = [f"For {visible(told.name)}"] if told.name else []
    lines += _table(told.rows) or [f"no {told.title}"]
    for title, rows in told.more.items():
        lines += ["", f"{title}:", *(_table(rows) or ["none"])]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    cells = [[*rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible("-" if value in (None, "") else str(value))


def visible(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
