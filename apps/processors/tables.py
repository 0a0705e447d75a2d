"""How much of a document's tables is kept besides its text."""

from collections.abc import Iterable, Sequence

from apps.processors.protocol import Table

MAX_CELLS = 200_000


class TableRoom:
    """Takes the tables of one document until MAX_CELLS are used up."""

    def __init__(self) -> None:
        self._left = MAX_CELLS
        self.full = False

    def keep(self, tables: Iterable[Sequence[Sequence[str]]]) -> tuple[Table, ...]:
        """Those that have cells and for which there is room; after one that does not fit none."""
        kept = []
        for table in tables:
            cells = sum(map(len, table))
            self.full = self.full or cells > self._left
            if cells and not self.full:
                self._left -= cells
                kept.append(tuple(tuple(row) for row in table))
        return tuple(kept)

    @property
    def warnings(self) -> tuple[str, ...]:
        if not self.full:
            return ()
        return (f"Tables beyond {MAX_CELLS:,} cells are kept as text only.",)
