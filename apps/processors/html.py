"""HTML, by resiliparse: right about lying character sets and about 100,000 nested tags."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

from apps.processors import language
from apps.processors.decoding import ALPHABETS_OF_EUROPE, certain_encoding, decode
from apps.processors.errors import BadDocument
from apps.processors.htmltables import tables
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.tables import TableRoom
from apps.processors.text import without_pages

VERSION = f"resiliparse {version('resiliparse')}"
MAX_VALUE = 500
MAX_METAS = 1000
HIDDEN = ("[hidden]", '[style*="display:none" i]', '[style*="display: none" i]')
TAGS = re.compile(rb"<[^<>]*>")
# All bytes are valid for these, and UTF-16 itself needs no guessing.
SAY_NOTHING = frozenset({"cp1252", "utf-16-le", "utf-16-be"})
WRONG_SHARE = 0.5
TABLE = re.compile("<table", re.IGNORECASE)
# Names of <meta> as pages have them: HTML, Dublin Core, Open Graph.
META = {
    "author": "author",
    "article:author": "author",
    "dc.creator": "author",
    "dcterms.creator": "author",
    "description": "subject",
    "dc.description": "subject",
    "og:description": "subject",
    "keywords": "keywords",
    "dc.subject": "keywords",
    "date": "created_at",
    "dc.date": "created_at",
    "dcterms.created": "created_at",
    "article:published_time": "created_at",
    "dcterms.modified": "modified_at",
    "article:modified_time": "modified_at",
}
DATES = frozenset({"created_at", "modified_at"})
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}\S*)?\Z")
MARKUP = re.compile(r"<[A-Za-z!/?]")


class HtmlProcessor:
    """What a reader sees, without scripts and hidden parts; the title goes to metadata."""

    name = "html"
    version = VERSION
    operations = frozenset({"extract"})
    accepts = frozenset({"html"})

    def __init__(self) -> None:
        self._language = language.shared()
        visible_text("<p>ready</p>")

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        source, encoding = decoded(document.path.read_bytes())
        if not source.strip():
            raise BadDocument("document.empty", "There is nothing in the file.")
        tree = HTMLTree.parse(source)
        text, title = _shown(tree) if MARKUP.search(source) else (source.strip(), "")
        room = TableRoom()
        kept = room.keep(tables(tree, HIDDEN) if TABLE.search(source) else ())
        page = Page(number=1, text=text, tables=kept)
        report(1, 1, "read")
        empty = () if text else ("The page shows no text.",)
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=self.version,
            language=self._language(text),
            metadata={"encoding": encoding, **({"title": title} if title else {}), **_said(tree)},
            warnings=(*empty, *room.warnings, *without_pages(document)),
        )


def decoded(content: bytes) -> tuple[str, str]:
    """The source, and its encoding. What the page says of its own encoding may be a lie, and is
    believed only where most bytes that are not ASCII are valid for it."""
    encoding = certain_encoding(content)
    if encoding:
        return content.decode(encoding, errors="replace"), encoding
    encoding = detect_encoding(content, from_html_meta=True) or "utf-8"
    text = content.decode(encoding, errors="replace")
    if encoding in SAY_NOTHING or _is_wrong(text):
        guess = decode(TAGS.sub(b" ", content))[1]
        if encoding != "cp1252" or guess not in (*ALPHABETS_OF_EUROPE, "utf-8"):
            return content.decode(guess, errors="replace"), guess
    return text, encoding


def _is_wrong(text: str) -> bool:
    """A stray byte is no lie: of a lie hardly a letter comes out that is not ASCII."""
    others = len(text) - len(text.encode("ascii", "ignore"))
    return text.count("\ufffd") > WRONG_SHARE * others


def visible_text(source: str) -> tuple[str, str]:
    """The text a reader sees, and the title. A file without markup is its own text."""
    return _shown(HTMLTree.parse(source)) if MARKUP.search(source) else (source.strip(), "")


def _shown(tree: HTMLTree) -> tuple[str, str]:
    text = extract_plain_text(tree, skip_elements=HIDDEN).strip()
    return text, (tree.title or "").strip()[:MAX_VALUE]


def _said(tree: HTMLTree) -> dict[str, str]:
    """What the page's head says of it."""
    found: dict[str, str] = {}
    for meta in _metas(tree):
        name = (meta.getattr("name") or meta.getattr("property") or "").strip().lower()
        key = META.get(name, "")
        value = " ".join((meta.getattr("content") or "").split())[:MAX_VALUE]
        if key and value and (key not in DATES or ISO_DATE.match(value)):
            found.setdefault(key, value)
    return found


def _metas(tree: HTMLTree) -> Iterator[Any]:
    # From one to the next: resiliparse's lists are made anew for each of their elements.
    element: Any = tree.head.first_element_child if tree.head else None
    for _ in range(MAX_METAS):
        if element is None:
            return
        if element.tag == "meta":
            yield element
        element = element.next_element_sibling
