"""Jobs and files as aligned text of at most 100 columns. Pure."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

COLUMNS = 100
GAP = "  "
ELLIPSIS = "..."
NARROWEST = 12


@dataclass(frozen=True)
class Column:
    """A column of a table; a flexible one gives way when the line would become too long."""

    title: str
    is_number: bool = False
    is_flexible: bool = False


FILES = (
    Column("File", is_flexible=True),
    Column("State"),
    Column("Pages", is_number=True),
    Column("Words", is_number=True),
    Column("Language"),
    Column("Seconds", is_number=True),
)
JOBS = (
    Column("Job"),
    Column("Name", is_flexible=True),
    Column("State"),
    Column("Done", is_number=True),
    Column("%", is_number=True),
    Column("Age", is_number=True),
    Column("Operation"),
)


def files_table(files: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each file as the API shows it, and under it, indented, what went wrong."""
    files = list(files)
    head, *rows = _lines(FILES, [_file_cells(file) for file in files])
    lines = [head]
    for row, file in zip(rows, files, strict=True):
        lines += [row, *_note(file)]
    return lines


def jobs_table(jobs: Iterable[dict[str, Any]], now: datetime) -> list[str]:
    """A line for each job as the API shows it."""
    return _lines(JOBS, [_job_cells(job, now) for job in jobs])


def done(job: dict[str, Any]) -> int:
    """How many files of the job have ended."""
    counts = job["counts"]
    return int(counts["total"] - counts["queued"] - counts["running"] - counts["retry_wait"])


def paused_words(job: dict[str, Any]) -> str:
    """Who paused the job and why, in a few words; "" when it is not paused."""
    paused = job.get("paused")
    if not paused:
        return ""
    by = f" by {paused['by']}" if paused["by"] else ""
    return visible(f"paused{by}" + (f": {paused['reason']}" if paused["reason"] else ""))


def files_in_words(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def age(seconds: float) -> str:
    """A length of time in one unit, rounded down: "59 s", "3 min", "23 h", "12 d"."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def visible(text: str) -> str:
    """`text` with everything that moves the cursor or hides itself written as an escape."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def width(text: str) -> int:
    """How many columns of a terminal visible `text` takes (Unicode annex 11)."""
    return sum(_width_of(letter) for letter in text)


def fitted(text: str, columns: int) -> str:
    """`text` in at most `columns` columns: the middle goes, a file's extension stays."""
    if width(text) <= columns:
        return text
    end = PurePath(text).suffix[-6:]
    room = columns - width(ELLIPSIS + end)
    start = ""
    for letter in text:
        room -= _width_of(letter)
        if room < 0:
            break
        start += letter
    return start + ELLIPSIS + end


def _width_of(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _lines(columns: Sequence[Column], rows: list[list[str]]) -> list[str]:
    rows = [[column.title for column in columns], *rows]
    widths = [max(width(row[n]) for row in rows) for n in range(len(columns))]
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - COLUMNS
    for n, column in enumerate(columns):
        if column.is_flexible and excess > 0:
            widths[n] = max(NARROWEST, widths[n] - excess)
    return [
        GAP.join(
            _cell(text, size, column.is_number)
            for text, size, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    ]


def _cell(text: str, columns: int, is_number: bool) -> str:
    text = fitted(text, columns)
    padding = " " * (columns - width(text))
    return padding + text if is_number else text + padding


def _file_cells(file: dict[str, Any]) -> list[str]:
    result = file["result"] or {}
    return [
        visible(file["name"]) or '""',
        visible(file["state"]),
        str(result.get("pages", "")),
        str(result.get("words", "")),
        visible(result.get("language", "")),
        _seconds(file),
    ]


def _seconds(file: dict[str, Any]) -> str:
    if not (file["started_at"] and file["finished_at"]):
        return ""
    took = datetime.fromisoformat(file["finished_at"]) - datetime.fromisoformat(file["started_at"])
    return f"{took.total_seconds():.1f}"


def _note(file: dict[str, Any]) -> list[str]:
    """Why the file failed or what is missing from its text, indented."""
    notes = []
    if error := file["error"]:
        notes.append(f"{error['code']}: {error['detail']}")
    if file["result"] and file["result"].get("quality") == "partial":
        notes.append("Only a part of the document was read.")
    return [line for note in notes for line in indented(note)]


def indented(note: str) -> list[str]:
    """A sentence as lines under what it is about."""
    return textwrap.wrap(visible(note), COLUMNS, initial_indent="    ", subsequent_indent="    ")


def _job_cells(job: dict[str, Any], now: datetime) -> list[str]:
    seconds = (now - datetime.fromisoformat(job["created_at"])).total_seconds()
    return [
        visible(str(job["id"])),
        visible(job["name"]),
        visible(job["state"]),
        f"{done(job)}/{job['counts']['total']}",
        f"{int(job['progress'] * 100)}",
        age(seconds),
        visible(job["operation"]),
    ]
