"""xberg, called one way: bytes and a media type in, text, tables and metadata out."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from apps.processors.errors import BadDocument

VERSION = f"xberg {version('xberg')}"
# What xberg 1.3 adds of its own: styles at headings, marks at notes, signs for pictures.
STYLE_NOTE = re.compile(r" \(style_name: (?:Title|heading \d)\)$", re.MULTILINE | re.IGNORECASE)
COMMENT_MARK = re.compile(r"\[cmt:\w{1,10}\]")
FOOTNOTE_MARK = re.compile(r"\[\^\w{1,10}\]")
NOTE = re.compile(r"^\[\^\w{1,10}\]: ", re.MULTILINE)
PICTURE_MARK = re.compile(r"^\[Image: image\]\n?", re.MULTILINE)
WORDS_OF_ENCRYPTION = re.compile(r"encrypt|password", re.IGNORECASE)
WORDS_OF_BOMBS = re.compile(r"\b(bomb|security|ratio|too large|exceeds)\b", re.IGNORECASE)
WORDS_OF_LOSS = re.compile(r"not extracted", re.IGNORECASE)
# Out of noise behind the header of an RTF file more than half comes out so.
UNREADABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
UNREADABLE_SHARE = 0.3
RTF = "application/rtf"
# Destinations of notes and comments that xberg passes over when they are marked as optional, as
# LibreOffice does; and the hyphen that does not break, which it takes for an underscore.
RTF_PASSED_OVER = re.compile(rb"\{\\\*\\(?:footnote|annotation)(?![a-z])")
RTF_HYPHEN = re.compile(rb"(?<!\\)\\_")


@dataclass(frozen=True)
class Read:
    """`incomplete`: the library itself says that it left something out."""

    text: str
    metadata: dict[str, str] = field(default_factory=dict)
    tables: tuple[list[list[str]], ...] = ()
    incomplete: bool = False


class XbergReader:
    """Loads the library (0.2 s, 25 MB) when constructed, not on import, for the web process
    knows the processors too."""

    def __init__(self) -> None:
        import xberg

        self._xberg = xberg
        # Nothing kept between documents, no OCR of its own: pictures are Tesseract's. Only the
        # structure tells the margins of a page.
        self._config = xberg.ExtractionConfig(
            use_cache=False,
            disable_ocr=True,
            include_document_structure=True,
        )
        self.read(b"ready", "text/plain", "")

    def read(self, content: bytes, media_type: str, damaged: str) -> Read:
        """Raises BadDocument: document.encrypted, .bomb, or .corrupt saying `damaged`."""
        if media_type == RTF:
            content = _without_traps(content)
        wanted = self._xberg.ExtractInput(kind="bytes", bytes=content, mime_type=media_type)
        try:
            result = asyncio.run(self._xberg.extract(wanted, self._config))
        except RuntimeError as error:  # the only class of error that comes out of the library
            raise _refusal(str(error), damaged) from error
        if not result.results:
            raise _refusal("; ".join(str(item) for item in result.errors), damaged)
        document = result.results[0]
        text = _text(document)
        if len(UNREADABLE.findall(text)) > UNREADABLE_SHARE * len(text):
            raise BadDocument("document.corrupt", damaged)
        return Read(
            text=text,
            metadata=_metadata(document.metadata),
            tables=tuple(table.cells for table in document.tables),
            incomplete=any(
                WORDS_OF_LOSS.search(warning.message) for warning in document.processing_warnings
            ),
        )


def _text(document: Any) -> str:
    """The text with the margins of its pages, said once, where the format keeps them apart."""
    layers: dict[str, dict[str, None]] = {"header": {}, "footer": {}, "footnote": {}}
    for node in document.document.nodes if document.document else ():
        layer = layers.get(str(node.content_layer))
        if layer is not None:
            layer[_node_text(json.loads(str(node.content)))] = None
    text = PICTURE_MARK.sub("", STYLE_NOTE.sub("", document.content))
    if layers["footnote"] or NOTE.search(text):
        text = FOOTNOTE_MARK.sub("", COMMENT_MARK.sub("", NOTE.sub("", text)))
    said = _squeezed(text)  # RTF says its margins in the text, and again without its spaces
    above, below = (
        [margin for margin in layers[layer] if _squeezed(margin) not in said]
        for layer in ("header", "footer")
    )
    return "\n\n".join((*above, text.strip(), *below)).strip()


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _node_text(node: dict[str, Any]) -> str:
    cells = node.get("grid", {}).get("cells", ())
    return str(node.get("text", "")) or " ".join(cell["content"] for cell in cells)


def _without_traps(rtf: bytes) -> bytes:
    """As long as before, for it may hold binary data whose length it says: white space at the end
    of a control word and line ends count for nothing."""

    def told(match: re.Match[bytes]) -> bytes:
        word = b"{\\footnote" if match[0].endswith(b"footnote") else b"{\\par"
        return word.ljust(len(match[0]), b"\n")

    return RTF_HYPHEN.sub(b"-\n", RTF_PASSED_OVER.sub(told, rtf))


def _refusal(message: str, damaged: str) -> BadDocument:
    if WORDS_OF_ENCRYPTION.search(message):
        return BadDocument("document.encrypted", "The file is protected by a password.")
    if WORDS_OF_BOMBS.search(message):
        return BadDocument("document.bomb", "The file would unpack to far more than it should.")
    return BadDocument("document.corrupt", damaged)


def _metadata(raw: Any) -> dict[str, str]:
    found = {
        "title": raw.title,
        "subject": raw.subject,
        "author": ", ".join(raw.authors or ()) or raw.created_by,
        "keywords": ", ".join(raw.keywords or ()),
        "created_at": raw.created_at,
        "modified_at": raw.modified_at,
    }
    return {key: value for key, value in found.items() if value}
