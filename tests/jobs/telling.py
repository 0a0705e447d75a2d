"""A processor that tells its options: the password in the way that its document's first word says,
and as its text the languages."""

from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report


class TellingProcessor:
    name = "telling"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})

    def run(self, document: Document, report: Report) -> Extraction:
        password = document.options.password
        word = document.path.read_text().split()[0]
        if word == "refuse":
            raise BadDocument("document.password", f"It does not open with {password}.")
        if word == "break":
            raise RuntimeError(f"cannot open with {password}: {document.options}")
        languages = ", ".join(document.options.languages)
        return Extraction(pages=(Page(1, languages),), kind="txt", engine="telling 1")
