"""Messages of Outlook."""

from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Report


class OutlookProcessor:
    name = "outlook"
    version = "0"
    operations = frozenset({"extract"})
    accepts = frozenset({"msg"})

    def run(self, document: Document, report: Report) -> Extraction:
        raise BadDocument("document.unsupported", "This kind of file is not read yet.")
