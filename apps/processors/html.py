"""HTML, by resiliparse: right about lying character sets and about 100,000 nested tags."""

import re
from importlib.metadata import version

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from resiliparse.parse.html import HTMLTree

from apps.processors import language
from apps.processors.decoding import decode
from apps.processors.errors import BadDocument
from apps.processors.kinds import wide_encoding
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.text import without_pages

VERSION = f"resiliparse {version('resiliparse')}"
MAX_TITLE = 500
HIDDEN = ("[hidden]", '[style*="display:none" i]', '[style*="display: none" i]')
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
        text, title = visible_text(source)
        page = Page(number=1, text=text)
        report(1, 1, "read")
        empty = () if text else ("The page shows no text.",)
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=self.version,
            language=self._language(text),
            metadata={"encoding": encoding, **({"title": title} if title else {})},
            warnings=(*empty, *without_pages(document)),
        )


def decoded(content: bytes) -> tuple[str, str]:
    """The source, and its encoding. What the page says of its own encoding may be a lie, so that
    only bytes which are valid for it believe it."""
    if wide_encoding(content[:8192]):
        return decode(content)
    encoding = detect_encoding(content, from_html_meta=True) or "utf-8"
    return bytes_to_str(content, encoding), encoding


def visible_text(source: str) -> tuple[str, str]:
    """The text a reader sees, and the title. A file without markup is its own text."""
    if not MARKUP.search(source):
        return source.strip(), ""
    tree = HTMLTree.parse(source)
    return extract_plain_text(tree, skip_elements=HIDDEN).strip(), (tree.title or "").strip()[
        :MAX_TITLE
    ]
