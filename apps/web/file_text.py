"""One page of what was read from a file, bounded however much that was."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format

from apps.jobs import results, storage
from apps.jobs.models import FileResult
from apps.web.file_tables import MAX_TABLES, ShownTable, shown_tables

logger = logging.getLogger(__name__)

MAX_STORED_BYTES = 32 * 1024 * 1024
"""Of an extraction larger than this only the beginning is read into the web process: one of this
size takes a tenth of a second and 70 MB of memory, the largest there are four times that."""
MAX_SHOWN_CHARACTERS = 200_000
MAX_CHARACTER_BYTES = 6  # as JSON writes some control characters
BEGINNING = re.compile(r'\{"text": "((?:[^"\\]++|\\u[0-9a-f]{4}|\\[^u])*+)')
"""The text of an extraction as it is stored, as far as whole characters of it are there."""


@dataclass(frozen=True)
class Excerpt:
    """One page. `number` is its own in the document, `place` (from 1) among the `count` read.

    `label` is what the document calls it, such as a sheet's name; `more_tables` are not shown.
    `has_all` says that these are the pages from 1 on without a gap; `unknown` is what was asked
    for instead when no page is called that. `ocr` names the pages that were read from a picture;
    `sure` is the mean of how sure that reading was, in per cent.
    """

    number: int
    text: str
    label: str
    tables: list[ShownTable]
    more_tables: int
    is_cut: bool
    is_ocr: bool
    confidence: float | None
    place: int
    count: int
    previous: int | None
    next: int | None
    first: int
    last: int
    has_all: bool
    unknown: str
    ocr: str
    sure: float | None


@dataclass(frozen=True)
class Absent:
    """Why no text is shown. `is_stored`: it can be downloaded all the same."""

    title: str
    detail: str
    is_stored: bool = False


def excerpt(result: FileResult, asked: str) -> Excerpt | Absent:
    """The page whose number is written in `asked`; the first for none or an unknown one."""
    try:
        pages = _pages(result)
    except (OSError, ValueError) as error:
        logger.error("the result of file %s cannot be read: %s", result.file_id, error)
        return _missing(result)
    if not pages:
        return Absent("There is no text", "No page of the document was read.", is_stored=True)
    numbers = [page["number"] for page in pages]
    wanted = _number(asked)
    place = numbers.index(wanted) if wanted in numbers else 0
    page = pages[place]
    tables = page.get("tables", ())
    shown = shown_tables(tables)
    return Excerpt(
        number=page["number"],
        text=page["text"][:MAX_SHOWN_CHARACTERS],
        label=page.get("label", ""),
        tables=shown,
        more_tables=len(tables) - len(shown) if len(shown) == MAX_TABLES else 0,
        is_cut=len(page["text"]) > MAX_SHOWN_CHARACTERS,
        is_ocr=page["ocr"],
        confidence=page.get("confidence"),
        place=place + 1,
        count=len(pages),
        previous=numbers[place - 1] if place else None,
        next=numbers[place + 1] if place + 1 < len(pages) else None,
        first=numbers[0],
        last=numbers[-1],
        has_all=numbers == list(range(1, len(pages) + 1)),
        unknown=asked[:20] if asked and wanted not in numbers else "",
        ocr=ranges([page["number"] for page in pages if page["ocr"]]),
        sure=_sure(pages),
    )


def _sure(pages: list[dict[str, Any]]) -> float | None:
    """None when no page says how sure its reading was."""
    said = [page["confidence"] for page in pages if page.get("confidence") is not None]
    return mean(said) if said else None


def _pages(result: FileResult) -> list[dict[str, Any]]:
    """The pages that were read; of a very large result the beginning of its text, as one page.

    Raises OSError and ValueError when the bytes are missing or damaged.
    """
    if result.content.size_bytes <= MAX_STORED_BYTES:
        pages: list[dict[str, Any]] = results.extraction(result)["pages"]
        return pages
    with storage.open_bytes(result.content) as stored:
        head = stored.read(MAX_CHARACTER_BYTES * (MAX_SHOWN_CHARACTERS + 10))
    beginning = BEGINNING.match(head.decode(errors="ignore"))
    if beginning is None:
        raise ValueError("it does not begin as an extraction does")
    return [{"number": 1, "text": json.loads(f'"{beginning[1]}"'), "ocr": False}]


def _missing(result: FileResult) -> Absent:
    until = result.file.job.expires_at
    kept = "was kept" if until < timezone.now() else "should be kept"
    return Absent(
        "The text is not there any more",
        f"What was read from this file {kept} until {date_format(until, 'j M Y')}, and cannot be "
        "found in storage. Submit the file again to have it read anew.",
    )


def _number(asked: str) -> int | None:
    try:
        return int(asked)
    except ValueError:
        return None


def ranges(numbers: Sequence[int]) -> str:
    """Ascending `numbers` as people write them: `1-3, 7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = (f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return ", ".join(told)
