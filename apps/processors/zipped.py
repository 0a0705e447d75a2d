"""ZIP archives: their members are documents of their own."""

from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Report


class ZipProcessor:
    name = "zip"
    version = "0"
    operations = frozenset({"extract", "ocr"})
    accepts = frozenset({"zip"})

    def run(self, document: Document, report: Report) -> Extraction:
        raise BadDocument("document.unsupported", "This kind of file is not read yet.")
