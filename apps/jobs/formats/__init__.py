"""How results can be had: a file each, and a line here.

Every format writes the same contents and none passes over a file: what failed or is unfinished
stands in it with its state. Memory holds one page of one document.
"""

from apps.jobs.formats import archive, csv_table, markdown, ndjson, workbook
from apps.jobs.formats.format import Format

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        archive.FORMAT,
        workbook.FORMAT,
        csv_table.FORMAT,
        markdown.FORMAT,
        ndjson.FORMAT,
    )
}
"""By name, in the order in which they are offered to people."""

__all__ = ["FORMATS", "Format"]
