"""What Markdown says of itself: the front matter, the first heading, the tables of GFM.

The text stays as it is written; nothing is rendered.
"""

import re
from collections.abc import Iterator

from apps.processors.described import Described
from apps.processors.tables import TableRoom

MAX_VALUE = 500
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
FRONT_LINE = re.compile(r"^([A-Za-z_]{1,40}):[ \t]*(\S.*)$", re.MULTILINE)
# What a line of the front matter is called there, and here.
FRONT_KEYS = {
    "title": "title",
    "author": "author",
    "authors": "author",
    "subject": "subject",
    "description": "subject",
    "summary": "subject",
    "keywords": "keywords",
    "tags": "keywords",
    "date": "created_at",
    "lastmod": "modified_at",
    "updated": "modified_at",
}
DATES = frozenset({"created_at", "modified_at"})
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}\S*)?\Z")
FENCE = re.compile(r" {0,3}(```|~~~)")
HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*)")
HEADING_END = re.compile(r"(?<![ \t])[ \t]+#+[ \t]*\Z")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*\Z")
DELIMITER_CELL = re.compile(r":?-+:?\Z")  # GFM 4.10
BAR = re.compile(r"(?<!\\)\|")


def describe(text: str) -> Described:
    """Title, author and dates as far as the text says them, and its tables."""
    front = FRONT_MATTER.match(text)
    metadata = _front_matter(front[1]) if front else {}
    lines = list(_outside_code(text[front.end() :] if front else text))
    if "title" not in metadata and (title := _first_heading(lines)):
        metadata["title"] = title[:MAX_VALUE]
    room = TableRoom()
    return Described(metadata, room.keep(_tables(lines)), room.warnings)


def _front_matter(block: str) -> dict[str, str]:
    """Lines such as `title: "Fish soup"`; of YAML no more is understood."""
    found: dict[str, str] = {}
    for key, raw in FRONT_LINE.findall(block):
        name = FRONT_KEYS.get(key.lower())
        value = raw.strip().strip("[]").replace('"', "").replace("'", "").strip()[:MAX_VALUE]
        if name and value and (name not in DATES or ISO_DATE.match(value)):
            found.setdefault(name, value)
    return found


def _outside_code(text: str) -> Iterator[str]:
    """The lines; those of fenced code are empty."""
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1] == fence else fence
            yield ""
        else:
            fence = mark[1] if mark else ""
            yield "" if mark else line


def _first_heading(lines: list[str]) -> str:
    before = ""
    for line in lines:
        if heading := HEADING.match(line):
            return HEADING_END.sub("", heading[1]).strip()
        if before.strip() and "|" not in before and UNDERLINE.match(line):
            return before.strip()
        before = line
    return ""


def _tables(lines: list[str]) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for number, line in enumerate(lines):
        if rows and line.strip():
            if len(rows) > 1 or not _is_delimiter_row(line):
                rows.append(_cells(line))
            continue
        if rows:
            yield rows
            rows = []
        if "|" in line and _is_table_head(line, lines[number + 1 : number + 2]):
            rows = [_cells(line)]
    if rows:
        yield rows


def _is_table_head(line: str, following: list[str]) -> bool:
    return any(
        "|" in after and _is_delimiter_row(after) and len(_cells(after)) == len(_cells(line))
        for after in following
    )


def _is_delimiter_row(line: str) -> bool:
    return "-" in line and all(DELIMITER_CELL.match(cell) for cell in _cells(line))


def _cells(line: str) -> list[str]:
    bare = line.strip().removeprefix("|")
    if bare.endswith("|") and not bare.endswith("\\|"):
        bare = bare[:-1]
    return [cell.strip().replace("\\|", "|") for cell in BAR.split(bare)]
