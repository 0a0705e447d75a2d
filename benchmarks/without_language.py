"""The reader of PDFs without its guess of the language, for `extract.py` to compare with."""

from apps.processors.pdf import PdfProcessor


class WithoutLanguage(PdfProcessor):
    def __init__(self) -> None:
        super().__init__()
        self._language = lambda _: ""  # type: ignore[assignment]  # called, and no more
