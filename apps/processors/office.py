"""DOCX, by xberg, behind the ZIP guard."""

import io

from apps.processors import archive, language, xberg_reader
from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS, OLE_START
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.text import without_pages

DAMAGED = "The Word file is damaged and cannot be read."


class OfficeProcessor:
    """Text with tables, notes and text boxes, as one page: the format does not know its pages."""

    name = "office"
    version = xberg_reader.VERSION
    operations = frozenset({"extract"})
    accepts = frozenset({"docx"})

    def __init__(self) -> None:
        self._language = language.shared()
        self._xberg = xberg_reader.XbergReader()

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "checking")
        content = document.path.read_bytes()
        if content.startswith(OLE_START):
            # Word wraps a protected document in another format; `kinds` let no other through.
            raise BadDocument("document.encrypted", "The Word file is protected by a password.")
        try:
            archive.inflate(io.BytesIO(content))
        except archive.Unreadable as error:
            raise BadDocument("document.corrupt", DAMAGED) from error
        report(0, 1, "reading")
        read = self._xberg.read(content, KINDS["docx"].media_type, DAMAGED)
        page = Page(number=1, text=read.text.strip())
        report(1, 1, "read")
        empty = () if page.text else ("There is no text in the file.",)
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=self.version,
            language=self._language(page.text),
            metadata=read.metadata,
            warnings=(*empty, *without_pages(document)),
        )
