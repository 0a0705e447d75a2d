"""Plain text, and what is written as plain text: Markdown, separated values, JSON, XML."""

from dataclasses import replace
from importlib.metadata import version

from apps.processors import jsontext, language, markdown, separated
from apps.processors.decoding import decode
from apps.processors.described import Described
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.xmltext import XmlReader

BLANK_BYTES = b" \t\r\n\0\xfe\xff"  # with the marks of UTF-16


class TextProcessor:
    """The text as it stands, and what it says of itself; of XML the text between the marks."""

    name = "text"
    version = f"charset-normalizer {version('charset-normalizer')}"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt", "md", "csv", "json", "xml"})

    def __init__(self) -> None:
        self._language = language.shared()
        self._xml = XmlReader()
        jsontext.describe("[1]", "ready.json")

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        content = document.path.read_bytes()
        if not content.strip(BLANK_BYTES):
            raise _nothing()
        if document.kind == "xml":
            text, metadata = self._xml.read(content)
            described = Described(metadata, warnings=() if text else ("The XML has no text.",))
        else:
            text, described = _plain(content, document)
        page = Page(number=1, text=text, tables=described.tables)
        report(1, 1, "read")
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=self._xml.version if document.kind == "xml" else self.version,
            language=self._language(text),
            metadata=described.metadata,
            warnings=(*_replaced(text), *described.warnings, *without_pages(document)),
        )


def without_pages(document: Document) -> tuple[str, ...]:
    """The warning for a choice of pages in a kind that has none."""
    return ("This kind of file has no pages to choose from.",) if document.options.pages else ()


def _plain(content: bytes, document: Document) -> tuple[str, Described]:
    text, encoding = decode(content)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise _nothing()
    described = _described(document, text)
    return text, replace(described, metadata={"encoding": encoding, **described.metadata})


def _described(document: Document, text: str) -> Described:
    if document.kind == "csv":
        return separated.describe(text)
    if document.kind == "md":
        return markdown.describe(text)
    if document.kind == "json":
        return jsontext.describe(text, document.name)
    return Described()


def _replaced(text: str) -> tuple[str, ...]:
    replaced = text.count("\ufffd")
    return (f"{replaced} characters could not be read.",) if replaced else ()


def _nothing() -> BadDocument:
    return BadDocument("document.empty", "There is no text in the file.")
