"""Plain text and tables of separated values."""

import csv
import re
from importlib.metadata import version

from apps.processors import language
from apps.processors.decoding import decode
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report

DELIMITERS = "\t;|,"  # of two that fit equally the first: the other may divide decimals
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
QUOTED = re.compile(r'"[^"]*"')
SNIFFED_CHARACTERS = 64 * 1024


class TextProcessor:
    """TXT and CSV. A table keeps its rows as they are; how it is separated goes to metadata."""

    name = "text"
    version = f"charset-normalizer {version('charset-normalizer')}"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt", "csv"})

    def __init__(self) -> None:
        self._language = language.shared()

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        text, encoding = decode(document.path.read_bytes())
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if not text.strip():
            raise BadDocument("document.empty", "There is no text in the file.")
        metadata = {"encoding": encoding}
        if document.kind == "csv":
            metadata |= _described(text)
        replaced = text.count("\ufffd")
        warnings = [f"{replaced} characters could not be read."] if replaced else []
        page = Page(number=1, text=text)
        report(1, 1, "read")
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=self.version,
            language=self._language(text),
            metadata=metadata,
            warnings=(*warnings, *without_pages(document)),
        )


def without_pages(document: Document) -> tuple[str, ...]:
    """The warning for a choice of pages in a kind that has none."""
    return ("This kind of file has no pages to choose from.",) if document.options.pages else ()


def _described(text: str) -> dict[str, str]:
    delimiter = _delimiter(text)
    rows = columns = 0
    try:
        for row in csv.reader(text.split("\n"), delimiter=delimiter):
            rows += 1
            columns = max(columns, len(row))
    except csv.Error:  # a field longer than the module takes, or NUL; the text itself is kept
        return {"delimiter": DELIMITER_NAMES[delimiter]}
    return {
        "delimiter": DELIMITER_NAMES[delimiter],
        "rows": str(rows),
        "columns": str(columns),
    }


def _delimiter(text: str) -> str:
    """The candidate that divides the most first lines into the same number of fields."""
    lines = QUOTED.sub("", text[:SNIFFED_CHARACTERS]).split("\n")[:100]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines if line]
        most_common = max(counts, key=counts.count, default=0)
        return (counts.count(most_common) if most_common else 0, most_common)

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[1] else ","
