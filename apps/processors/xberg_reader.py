"""xberg, called one way: bytes and a media type in, text and metadata out."""

import asyncio
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from apps.processors.errors import BadDocument

VERSION = f"xberg {version('xberg')}"
# What xberg 1.3 adds to the headings of a DOCX.
STYLE_NOTE = re.compile(r" \(style_name: (?:Title|heading \d)\)$", re.MULTILINE | re.IGNORECASE)
WORDS_OF_ENCRYPTION = re.compile(r"encrypt|password", re.IGNORECASE)
WORDS_OF_BOMBS = re.compile(r"\b(bomb|security|ratio|too large|exceeds)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Read:
    text: str
    metadata: dict[str, str] = field(default_factory=dict)


class XbergReader:
    """Loads the library (0.2 s, 25 MB) when constructed, not on import, for the web process
    knows the processors too."""

    def __init__(self) -> None:
        import xberg

        self._xberg = xberg
        # Nothing kept between documents, no OCR of its own: pictures are Tesseract's.
        self._config = xberg.ExtractionConfig(use_cache=False, disable_ocr=True)
        self.read(b"ready", "text/plain", "")

    def read(self, content: bytes, media_type: str, damaged: str) -> Read:
        """Raises BadDocument: document.encrypted, .bomb, or .corrupt saying `damaged`."""
        wanted = self._xberg.ExtractInput(kind="bytes", bytes=content, mime_type=media_type)
        try:
            result = asyncio.run(self._xberg.extract(wanted, self._config))
        except RuntimeError as error:  # the only class of error that comes out of the library
            raise _refusal(str(error), damaged) from error
        if not result.results:
            raise _refusal("; ".join(str(item) for item in result.errors), damaged)
        document = result.results[0]
        text = STYLE_NOTE.sub("", document.content)
        return Read(text, _metadata(document.metadata))


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
