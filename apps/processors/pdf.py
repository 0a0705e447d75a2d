"""PDF, by PDFium: the text layer page by page, and OCR for pages that are pictures."""

import re
from collections.abc import Iterator
from importlib.metadata import version

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from apps.processors import language, ocr, xberg_reader
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report

MAX_PAGES = 2000
FORM_DEPTH = 3
METADATA = {"Title": "title", "Author": "author", "Subject": "subject", "Keywords": "keywords"}
DATES = {"CreationDate": "created_at", "ModDate": "modified_at"}
# ISO 32000-1, 7.9.4: D:YYYYMMDDHHmmSSOHH'mm, everything after the year may be missing.
PDF_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?"
)
LISTED_PAGES = 20


class PdfProcessor:
    """One document at a time per process: PDFium is not thread-safe."""

    name = "pdf"
    version = f"pypdfium2 {version('pypdfium2')}"
    operations = frozenset({"extract", "ocr"})
    accepts = frozenset({"pdf"})

    def __init__(self) -> None:
        self._language = language.shared()
        self._ocr = ocr.shared()
        self._xberg = xberg_reader.XbergReader()
        _warm()

    def run(self, document: Document, report: Report) -> Extraction:
        content = document.path.read_bytes()
        try:
            pdf = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            if error.err_code == pdfium.FPDF_ERR_PASSWORD:
                raise BadDocument(
                    "document.encrypted", "The PDF is protected by a password."
                ) from error
            return self._second_opinion(content, document, report)
        try:
            return self._read(pdf, document, report)
        finally:
            pdf.close()

    def _read(self, pdf: pypdfium2.PdfDocument, document: Document, report: Report) -> Extraction:
        numbers = _chosen(len(pdf), document)
        reader = _Reader(pdf, self._ocr, document)
        pages = []
        for done, number in enumerate(numbers):
            report(done, len(numbers), f"page {number}")
            pages.append(reader.page(number))
            report(done + 1, len(numbers), f"page {number}", page=pages[-1])
        if len(reader.damaged) == len(numbers):
            raise BadDocument("document.corrupt", "The PDF is damaged: no page can be read.")
        with_ocr = f" + {ocr.VERSION}" if any(page.ocr for page in pages) else ""
        return Extraction(
            pages=tuple(pages),
            kind="pdf",
            engine=self.version + with_ocr,
            language=self._language("\n".join(page.text for page in pages[:10])),
            metadata=_metadata(pdf),
            warnings=tuple(reader.warnings(pages)),
            quality="partial" if reader.damaged else "full",
        )

    def _second_opinion(self, content: bytes, document: Document, report: Report) -> Extraction:
        """PDFium refuses some files whose cross-reference is broken and that xberg still reads."""
        report(0, 1, "repairing")
        read = self._xberg.read(
            content, "application/pdf", "The PDF is damaged and cannot be read."
        )
        if not ocr.enough_letters(read.text):
            raise BadDocument("document.corrupt", "The PDF is damaged and cannot be read.")
        report(1, 1, "repaired")
        return Extraction(
            pages=(Page(number=1, text=read.text),),
            kind=document.kind,
            engine=xberg_reader.VERSION,
            language=self._language(read.text),
            metadata=read.metadata,
            warnings=("The PDF is damaged. Its text was saved without its pages.",),
            quality="partial",
        )


class _Reader:
    """Reads single pages and remembers what was wrong with them."""

    def __init__(self, pdf: pypdfium2.PdfDocument, engine: ocr.Ocr, document: Document) -> None:
        self._pdf = pdf
        self._engine = engine
        self._options = document.options
        self.damaged: list[int] = []
        self.unread: list[int] = []

    def page(self, number: int) -> Page:
        try:
            page = self._pdf[number - 1]
            textpage = page.get_textpage()
        except pypdfium2.PdfiumError:
            self.damaged.append(number)
            return Page(number=number, text="")
        text = _tidied(textpage.get_text_bounded())
        textpage.close()
        try:
            return self._with_ocr(page, number, text)
        finally:
            page.close()

    def _with_ocr(self, page: pypdfium2.PdfPage, number: int, text: str) -> Page:
        wanted = self._options.ocr
        if wanted != "force" and (ocr.enough_letters(text) or not _shows_picture(page)):
            return Page(number=number, text=text)
        if wanted == "never":
            self.unread.append(number)
            return Page(number=number, text=text)
        image, dots_per_inch = _rendered(page)
        seen = self._engine.read(image, self._options.languages, dots_per_inch)
        if not seen.text:
            return Page(number=number, text=text)
        return Page(number=number, text=seen.text, ocr=True, confidence=seen.confidence)

    def warnings(self, pages: list[Page]) -> Iterator[str]:
        empty = {page.number for page in pages if not page.text.strip()}
        if self.damaged:
            yield f"{_listed(self.damaged)} damaged and could not be read."
        if self.unread:
            yield f"{_listed(self.unread)} a picture; OCR was switched off."
        if blank := sorted(empty - set(self.damaged) - set(self.unread)):
            yield f"{_listed(blank)} without text."


def _chosen(count: int, document: Document) -> list[int]:
    """Raises BadDocument when nothing or too much is to be read."""
    if not count:
        raise BadDocument("document.empty", "The PDF has no pages.")
    numbers = document.options.page_numbers(count)
    if not numbers:
        raise BadDocument(
            "document.pages", f"The PDF has {count} pages; none of the chosen ones is in it."
        )
    if len(numbers) > MAX_PAGES:
        raise BadDocument(
            "document.too_many_pages",
            f"The PDF has {count} pages; up to {MAX_PAGES} are read at once. Choose a range.",
        )
    return numbers


def _shows_picture(page: pypdfium2.PdfPage) -> bool:
    pictures = page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=FORM_DEPTH)
    return next(iter(pictures), None) is not None


def _rendered(page: pypdfium2.PdfPage) -> tuple[Image.Image, int]:
    """The page in grey, capped by pixels: pages may be metres wide."""
    scale = min(ocr.DOTS_PER_INCH / 72, ocr.MAX_SIDE / max(*page.get_size(), 1.0))
    bitmap = page.render(scale=scale, grayscale=True)
    return bitmap.to_pil(), max(70, round(scale * 72))


def _tidied(text: str) -> str:
    # PDFium marks the hyphen of a divided word at a line's end with U+FFFE or U+0002.
    return text.replace("\r\n", "\n").replace("\ufffe", "-").replace("\x02", "-").strip()


def _metadata(pdf: pypdfium2.PdfDocument) -> dict[str, str]:
    raw = pdf.get_metadata_dict(skip_empty=True)
    found = {ours: raw[theirs] for theirs, ours in METADATA.items() if theirs in raw}
    for theirs, ours in DATES.items():
        if date := iso_date(raw.get(theirs, "")):
            found[ours] = date
    if attachments := pdf.count_attachments():
        found["attachments"] = str(attachments)
    return {**found, "pages": str(len(pdf))}


def iso_date(pdf_date: str) -> str:
    """A PDF date as ISO 8601, with the zone if it has one; "" when it is none."""
    match = PDF_DATE.match(pdf_date)
    if not match:
        return ""
    year, month, day, hour, minute, second, utc, sign, zone_hours, zone_minutes = match.groups()
    date = f"{year}-{month}-{day}"
    if hour is None:
        return date
    zone = "Z" if utc else f"{sign}{zone_hours}:{zone_minutes or '00'}" if sign else ""
    return f"{date}T{hour}:{minute}:{second or '00'}{zone}"


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:LISTED_PAGES]))
    more = f" and {len(numbers) - LISTED_PAGES} more" if len(numbers) > LISTED_PAGES else ""
    return f"Page {shown} is" if len(numbers) == 1 else f"Pages {shown}{more} are"


def _warm() -> None:
    """Use every part of the library once, for what it imports on first use."""
    pdf = pypdfium2.PdfDocument.new()
    page = pdf.new_page(10, 10)
    page.get_textpage().get_text_bounded()
    _rendered(page)
    _metadata(pdf)
    pdf.close()
