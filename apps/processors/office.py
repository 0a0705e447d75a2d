"""Documents of Word, PowerPoint and LibreOffice, RTF and EPUB, each behind the guard of its format.

Which engine reads which kind is said in `OfficeProcessor._read`: xberg texts of Word, RTF and old
files; what it loses too much of, lxml.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lxml import etree

from apps.processors import (
    book,
    html,
    language,
    opendocument,
    powerpoint97,
    presentation,
    properties,
    salvage,
    xberg_reader,
)
from apps.processors.decrypt import Decrypter
from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS
from apps.processors.package import VERSION, Package
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.tables import TableRoom
from apps.processors.text import without_pages

DAMAGED = {
    "docx": "The Word file is damaged and cannot be read.",
    "doc": "The Word file is damaged and cannot be read.",
    "pptx": "The presentation is damaged and cannot be read.",
    "ppt": "The presentation is damaged and cannot be read.",
    "odp": "The presentation is damaged and cannot be read.",
    "odt": "The text document is damaged and cannot be read.",
    "rtf": "The RTF file is damaged and cannot be read.",
    "epub": "The book is damaged and cannot be read.",
}
UNITS = {"pptx": "slide", "odp": "slide", "epub": "chapter"}
"""Kinds whose pages can be chosen, and what those are called."""
MAX_UNITS = 2000


@dataclass
class Unit:
    """A slide, a chapter, or the whole of what has neither."""

    text: str
    label: str = ""
    tables: Iterable[list[list[str]]] = ()


@dataclass
class Content:
    units: list[Unit]
    engine: str
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    quality: str = "full"


class OfficeProcessor:
    """Slides and chapters are pages; a text document is one, for only a layout engine knows its
    pages."""

    name = "office"
    version = xberg_reader.VERSION
    operations = frozenset({"extract"})
    accepts = frozenset(DAMAGED)

    def __init__(self) -> None:
        self._language = language.shared()
        self._xberg = xberg_reader.XbergReader()
        self._decrypter = Decrypter()
        html.visible_text("<p>ready</p>")

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "checking")
        content = document.path.read_bytes()
        opened = self._decrypter.opened(content, document.kind, document.options.password)
        report(0, 1, "reading")
        try:
            read = self._read(opened, document.kind)
        except BadDocument as error:
            if error.code != "document.corrupt":
                raise
            read = _salvaged(opened, document.kind, error)
        pages, warnings = _pages(read, document, report)
        return Extraction(
            pages=pages,
            kind=document.kind,
            engine=read.engine,
            language=self._language("\n".join(page.text for page in pages[:10])),
            metadata=read.metadata,
            warnings=(*read.warnings, *warnings),
            quality=read.quality,
        )

    def _read(self, content: bytes, kind: str) -> Content:
        readers: dict[str, Callable[[Package], Content]] = {
            "docx": self._docx,
            "pptx": _pptx,
            "odt": _odt,
            "odp": _odp,
            "epub": _epub,
        }
        if kind not in readers:
            return self._old(content, kind)
        package = Package(content, DAMAGED[kind])
        try:
            return readers[kind](package)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise BadDocument("document.corrupt", DAMAGED[kind]) from error

    def _docx(self, package: Package) -> Content:
        read = self._xberg.read(package.content, KINDS["docx"].media_type, DAMAGED["docx"])
        unit = Unit(read.text.strip(), tables=read.tables)
        return Content([unit], xberg_reader.VERSION, properties.of_ooxml(package))

    def _old(self, content: bytes, kind: str) -> Content:
        """RTF, DOC and PPT, which are no packages."""
        read = self._xberg.read(content, KINDS[kind].media_type, DAMAGED[kind])
        if kind == "rtf":
            metadata = {**read.metadata, **properties.of_rtf(content)}
        else:
            metadata = properties.of_ole(content)
        beside = powerpoint97.notes(content) if kind == "ppt" else ()
        unit = Unit("\n\n".join((read.text, *beside)).strip(), tables=read.tables)
        found = Content([unit], xberg_reader.VERSION, properties.tidied(metadata))
        if read.incomplete:
            found.warnings.append("Endnotes, or text boxes in headers, are not read.")
            found.quality = "partial"
        return found


def _odt(package: Package) -> Content:
    part = opendocument.text_document(package)
    unit = Unit(part.text, tables=part.tables)
    return Content([unit], VERSION, properties.of_odf(package))


def _pptx(package: Package) -> Content:
    slides = [*presentation.slides(package)]
    units = [Unit(slide.text, slide.title, slide.tables) for slide in slides]
    hidden = sum(slide.hidden for slide in slides)
    return Content(
        units,
        VERSION,
        {**properties.of_ooxml(package), "slides": str(len(slides))},
        [f"Hidden slides are read too: {hidden}."] if hidden else [],
    )


def _odp(package: Package) -> Content:
    parts = opendocument.slides(package)
    units = [Unit(part.text, part.label, part.tables) for part in parts]
    metadata = {**properties.of_odf(package), "slides": str(len(units))}
    return Content(units, VERSION, metadata)


def _epub(package: Package) -> Content:
    read = book.Book(package)
    units = [Unit(chapter.text, chapter.label) for chapter in read.chapters()]
    missing = sum(name not in package.names for name in read.names)
    return Content(
        units,
        html.VERSION,
        read.metadata(),
        [f"Chapters missing from the file: {missing}."] if missing else [],
        "partial" if missing else "full",
    )


def _salvaged(content: bytes, kind: str, error: BadDocument) -> Content:
    """The second engine. Raises `error` again when it finds nothing either."""
    text = salvage.text(content, kind)
    if not text:
        raise error
    return Content([Unit(text)], VERSION, {}, [salvage.WARNING], "partial")


def _pages(
    read: Content, document: Document, report: Report
) -> tuple[tuple[Page, ...], tuple[str, ...]]:
    """The chosen units as pages, and what is to be said about them. Raises BadDocument when
    nothing or too much is chosen."""
    unit = UNITS.get(document.kind, "")
    numbers = _chosen(len(read.units), document, unit)
    room = TableRoom()
    pages = []
    for done, number in enumerate(numbers, 1):
        found = read.units[number - 1]
        page = Page(number, found.text, label=found.label, tables=room.keep(found.tables))
        pages.append(page)
        report(done, len(numbers), f"{unit} {number}" if unit else "read", page=page)
    empty = not any(page.text for page in pages)
    warnings = ("There is no text in the file.",) if empty else ()
    return tuple(pages), (*warnings, *room.warnings, *(() if unit else without_pages(document)))


def _chosen(count: int, document: Document, unit: str) -> list[int]:
    if not count:
        raise BadDocument("document.empty", f"The file has no {unit}s.")
    numbers = document.options.page_numbers(count) if unit else [1]
    if not numbers:
        raise BadDocument(
            "document.pages", f"The file has {count} {unit}s; none of the chosen ones is in it."
        )
    if len(numbers) > MAX_UNITS:
        raise BadDocument(
            "document.too_many_pages",
            f"The file has {count} {unit}s; up to {MAX_UNITS} are read at once. Choose a range.",
        )
    return numbers
