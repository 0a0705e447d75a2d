"""PDF, by PDFium: the text layer page by page, and OCR for pages that are pictures."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from apps.processors import language, ocr, pdf_guard, pdf_opening, xberg_reader
from apps.processors.errors import BadDocument
from apps.processors.pdf_notes import notes
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.searchable import Searchable, font

MAX_PAGES = 2000
FORM_DEPTH = 3
METADATA = {"Title": "title", "Author": "author", "Subject": "subject", "Keywords": "keywords"}
DATES = {"CreationDate": "created_at", "ModDate": "modified_at"}
# ISO 32000-1, 7.9.4: D:YYYYMMDDHHmmSSOHH'mm, everything after the year may be missing.
PDF_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?"
)
# PDFium marks the hyphen of a word divided at a line's end with U+FFFE or U+0002 and joins the
# lines. Before a small letter it goes: it is hardly ever part of the word.
DIVIDED = re.compile("[\x02\ufffe](?=[a-z\u00df-\u00f6\u00f8-\u00ff])")
LISTED_PAGES = 20
MOST_LETTERS = 65_536
"""Of a page that is read at one go."""
LISTED_FILES = 100
QUARTER_TURNS = {90: (0, -1, 1, 0), 270: (0, 1, -1, 0)}


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
        font()
        _warm()

    def run(self, document: Document, report: Report) -> Extraction:
        content = document.path.read_bytes()
        pdf_guard.check(content)
        try:
            pdf = pdf_opening.opened(content, document.options.password)
        except pypdfium2.PdfiumError:
            return self._second_opinion(content, document, report)
        try:
            return self._read(pdf, document, report, Searchable(document, content))
        finally:
            pdf.close()

    def _read(
        self,
        pdf: pypdfium2.PdfDocument,
        document: Document,
        report: Report,
        searchable: Searchable,
    ) -> Extraction:
        pdf.init_forms()  # before pages are counted or opened
        numbers = _chosen(len(pdf), document)
        reader = _Reader(pdf, self._ocr, document, searchable)
        pages = []
        for done, number in enumerate(numbers, 1):
            looking = partial(report, done - 1, len(numbers), f"page {number}, a picture")
            pages.append(reader.page(number, looking))
            report(done, len(numbers), f"page {number}", page=pages[-1])
        if len(reader.damaged) == len(numbers):
            raise BadDocument("document.corrupt", "The PDF is damaged: no page can be read.")
        attached = _attached(pdf)
        artifacts = searchable.finish()
        with_ocr = f" + {ocr.VERSION}" if any(page.ocr for page in pages) else ""
        return Extraction(
            pages=tuple(pages),
            kind="pdf",
            engine=self.version + with_ocr,
            language=self._language("\n".join(page.text for page in pages[:10])),
            metadata=_metadata(pdf, attached),
            warnings=(*reader.warnings(pages), *_not_read(attached), *searchable.warnings),
            quality="partial" if reader.damaged else "full",
            artifacts=artifacts,
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

    def __init__(
        self,
        pdf: pypdfium2.PdfDocument,
        engine: ocr.Ocr,
        document: Document,
        searchable: Searchable,
    ) -> None:
        self._pdf = pdf
        self._engine = engine
        self._searchable = searchable
        self._options = document.options
        self._is_labelled = bool(pdf.get_page_label(0))  # the first page has one, or none has
        self._letters = (pdfium.FPDF_WCHAR * MOST_LETTERS)()
        self.damaged: list[int] = []
        self.unread: list[int] = []

    def page(self, number: int, looking: Callable[[], None]) -> Page:
        """The page, numbered from 1. `looking` is called when its picture has to be read, which
        takes long."""
        try:
            page = _levelled(self._pdf, number - 1)
            try:
                return self._read(page, number, looking)
            finally:
                page.close()
        except pypdfium2.PdfiumError:
            self.damaged.append(number)
            return Page(number=number, text="")

    def _read(self, page: pypdfium2.PdfPage, number: int, looking: Callable[[], None]) -> Page:
        textpage = page.get_textpage()
        text = _tidied(self._text(page, textpage))
        textpage.close()
        read = self._with_ocr(page, Page(number=number, text=text), looking)
        noted = notes(self._pdf, page)
        label = self._pdf.get_page_label(number - 1) if self._is_labelled else ""
        if not noted and label in ("", str(number)):
            return read
        return replace(read, text=f"{read.text}\n\n{noted}".strip(), label=label)

    def _text(self, page: pypdfium2.PdfPage, textpage: pypdfium2.PdfTextPage) -> str:
        """What `textpage.get_text_bounded()` gives, which asks for all of it twice."""
        left, bottom, right, top = page.get_bbox()
        count = pdfium.FPDFText_GetBoundedText(
            textpage, left, top, right, bottom, self._letters, MOST_LETTERS
        )
        if count >= MOST_LETTERS:
            return str(textpage.get_text_bounded())
        text = bytes(memoryview(self._letters)[:count]).decode("utf-16-le", "ignore")
        return text.removesuffix("\x00")

    def _with_ocr(self, page: pypdfium2.PdfPage, read: Page, looking: Callable[[], None]) -> Page:
        wanted = self._options.ocr
        if wanted != "force" and (ocr.enough_letters(read.text) or not _shows_picture(page)):
            return read
        if wanted == "never":
            self.unread.append(read.number)
            return read
        looking()
        image, dots_per_inch = _rendered(page)
        # Pages with a text of their own keep it: with a second one all would be found twice.
        with_words = self._searchable.is_wanted and not ocr.enough_letters(read.text)
        seen = self._engine.read(
            image, self._options.languages, dots_per_inch, with_words=with_words
        )
        if not seen.text:
            return read
        if with_words:
            self._searchable.lay(read.number - 1, seen.words)
        return Page(number=read.number, text=seen.text, ocr=True, confidence=seen.confidence)

    def warnings(self, pages: list[Page]) -> Iterator[str]:
        empty = {page.number for page in pages if not page.text.strip()}
        seen = sum(page.ocr for page in pages)
        if seen and self._options.ocr != "force":
            yield f"{_counted(seen)} no text and {'was' if seen == 1 else 'were'} read by OCR."
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
            "document.pages",
            f"The PDF has {count} page{'s' * (count > 1)}; none of the chosen ones is in it.",
        )
    if len(numbers) > MAX_PAGES:
        raise BadDocument(
            "document.too_many_pages",
            f"The PDF has {count} pages; up to {MAX_PAGES} are read at once. Choose a range.",
        )
    return numbers


def _levelled(pdf: pypdfium2.PdfDocument, index: int) -> pypdfium2.PdfPage:
    """The page, rewritten in memory as it is shown when it is shown a quarter round: PDFium puts
    no line ends between lines that run up or down the page."""
    page = pdf[index]
    rotation = page.get_rotation()
    if rotation not in QUARTER_TURNS:
        return page
    (width, height), (left, bottom, right, top) = page.get_size(), page.get_cropbox()
    shift = (-bottom, right) if rotation == 90 else (top, -left)
    matrix = pdfium.FS_MATRIX(*QUARTER_TURNS[rotation], *shift)
    pdfium.FPDFPage_TransFormWithClip(page, matrix, None)
    page.set_rotation(0)
    page.set_mediabox(0, 0, width, height)
    page.set_cropbox(0, 0, width, height)
    page.close()
    return pdf[index]


def _shows_picture(page: pypdfium2.PdfPage) -> bool:
    pictures = page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=FORM_DEPTH)
    return next(iter(pictures), None) is not None


def _rendered(page: pypdfium2.PdfPage) -> tuple[Image.Image, int]:
    """The page in grey, capped by pixels: pages may be metres wide."""
    scale = min(ocr.DOTS_PER_INCH / 72, ocr.MAX_SIDE / max(*page.get_size(), 1.0))
    bitmap = page.render(scale=scale, grayscale=True)
    return bitmap.to_pil(), max(70, round(scale * 72))


def _tidied(text: str) -> str:
    if "\x02" in text or "\ufffe" in text:
        text = DIVIDED.sub("", text).replace("\ufffe", "-").replace("\x02", "-")
    return text.replace("\r\n", "\n").strip()


def _metadata(pdf: pypdfium2.PdfDocument, attached: list[str]) -> dict[str, str]:
    raw = pdf.get_metadata_dict(skip_empty=True)
    found = {ours: raw[theirs] for theirs, ours in METADATA.items() if theirs in raw}
    for theirs, ours in DATES.items():
        if date := iso_date(raw.get(theirs, "")):
            found[ours] = date
    if attached:
        found["attachments"] = ", ".join(attached)
    return {**found, "pages": str(len(pdf))}


def _attached(pdf: pypdfium2.PdfDocument) -> list[str]:
    """The names of the first files embedded in the PDF."""
    names = []
    for number in range(min(pdf.count_attachments(), LISTED_FILES)):
        with contextlib.suppress(pypdfium2.PdfiumError):  # one that has no name
            names.append(pdf.get_attachment(number).get_name())
    return names


def _not_read(attached: list[str]) -> Iterator[str]:
    if attached:
        yield f"Files inside the PDF are named, not read: {', '.join(attached)}."


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


def _counted(pages: int) -> str:
    return "1 page had" if pages == 1 else f"{pages} pages had"


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
    _metadata(pdf, _attached(pdf))
    notes(pdf, page)
    pdf.close()
