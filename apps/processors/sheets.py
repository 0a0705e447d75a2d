"""Spreadsheets, by calamine."""

from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Report


class SheetProcessor:
    name = "sheets"
    version = "0"
    operations = frozenset({"extract"})
    accepts = frozenset({"xlsx", "xls", "xlsb", "ods"})

    def run(self, document: Document, report: Report) -> Extraction:
        raise BadDocument("document.unsupported", "This kind of file is not read yet.")
