"""The tables of a page of HTML, as rows of cells.

Everything is found in one walk. The lists that resiliparse gives are made anew for each of their
elements, and looking into every table is quadratic where they are nested.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import DOMContext, HTMLTree, traverse_dom

from apps.processors.tables import MAX_CELLS


@dataclass
class _Table:
    depth: int
    rows: list[list[Any]] = field(default_factory=list)
    holds_another: bool = False


class _Enough(Exception):
    pass


class _Finder:
    def __init__(self) -> None:
        self.found: list[_Table] = []
        self._around: list[_Table] = []
        self._cells = 0

    def enter(self, context: DOMContext) -> None:
        node: Any = context.node
        while self._around and self._around[-1].depth >= context.depth:
            self._around.pop()
        if node.tag == "table":
            if self._around:
                self._around[-1].holds_another = True
            self._around.append(_Table(context.depth))
            self.found.append(self._around[-1])
        elif self._around:
            self._fill(self._around[-1], node)

    def _fill(self, table: _Table, node: Any) -> None:
        if node.tag == "tr":
            table.rows.append([])
        elif node.tag in ("td", "th") and table.rows:
            table.rows[-1].append(node)
            self._cells += 1
            if self._cells > MAX_CELLS + 1:  # the one too many shows that there was no room
                raise _Enough


def tables(tree: HTMLTree, hidden: tuple[str, ...]) -> Iterator[list[list[str]]]:
    """Each table that holds no other (which only arranges the page), without what is `hidden`."""
    finder = _Finder()
    if tree.body is not None:
        with contextlib.suppress(_Enough):
            traverse_dom(tree.body, finder.enter, elements_only=True)
    for table in finder.found:
        if not table.holds_another:
            yield [[_text(cell, hidden) for cell in row] for row in table.rows if row]


def _text(cell: Any, hidden: tuple[str, ...]) -> str:
    """What it shows, on one line: blocks and breaks within part words, marks do not."""
    if cell.hasattr("hidden"):
        return ""
    inner = cell.inner_html
    text = extract_plain_text(inner, skip_elements=hidden) if "<" in inner else cell.text
    return " ".join(text.split())
