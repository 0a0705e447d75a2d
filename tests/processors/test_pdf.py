"""What is in a PDF besides its text: locks, forms, comments, labels, files, turned pages."""

import io

import pypdfium2
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from tests.processors import papers
from tests.processors.papers import Reader
from tests.processors.test_documents import raw_pdf

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def read(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(warm, tmp_path_factory.mktemp("pdf"))


class Sheet(Canvas):
    """A PDF that is drawn on, and then given as bytes."""

    def __init__(self, **options: object) -> None:
        self._buffer = io.BytesIO()
        super().__init__(self._buffer, pagesize=(400, 300), invariant=1, **options)

    def page(self, *lines: str) -> None:
        for row, line in enumerate(lines):
            self.drawString(40, 250 - 16 * row, line)
        self.showPage()

    def content(self) -> bytes:
        self.save()
        return self._buffer.getvalue()


def pages(*texts: str) -> bytes:
    sheet = Sheet()
    for text in texts:
        sheet.page(text)
    return sheet.content()


def changed(content: bytes, change: object) -> bytes:
    """The PDF after `change(pdf)`."""
    sink = io.BytesIO()
    with pypdfium2.PdfDocument(content) as pdf:
        change(pdf)  # type: ignore[operator]
        pdf.save(sink)
    return sink.getvalue()


@pytest.mark.parametrize("encrypt", [None, StandardEncryption("", "owner", canPrint=0)])
def test_a_password_harms_no_pdf_that_needs_none(
    read: Reader, encrypt: StandardEncryption | None
) -> None:
    sheet = Sheet(encrypt=encrypt)
    sheet.page("An open door.")
    assert read("pdf", sheet.content(), password="of another").text == "An open door."


def test_what_was_wrong_with_the_pdf_before_is_not_said_of_the_next(read: Reader) -> None:
    locked = Sheet(encrypt="open sesame")
    locked.page("Behind the door.")
    with pytest.raises(BadDocument, match=r"document\.encrypted"):
        read("pdf", locked.content())
    with pytest.raises(BadDocument) as caught:
        read("pdf", raw_pdf(b"", kids=b"[]"))
    assert caught.value.code in ("document.empty", "document.corrupt")


def test_a_password_opens_a_pdf_or_does_not(read: Reader) -> None:
    sheet = Sheet(encrypt="open sesame")
    sheet.page("Behind the door.")
    content = sheet.content()
    assert read("pdf", content, password="open sesame").text == "Behind the door."
    for given, code in (("", "document.encrypted"), ("sesame", "document.password")):
        with pytest.raises(BadDocument) as caught:
            read("pdf", content, password=given)
        assert caught.value.code == code


def test_a_form_is_read_with_what_was_filled_in(read: Reader) -> None:
    sheet = Sheet()
    form = sheet.acroForm
    form.textfield(name="boat", tooltip="Name of the boat", value="Kittiwake", x=40, y=200)
    form.textfield(name="owner", value="", x=40, y=150)
    form.checkbox(name="power", tooltip="With power", checked=True, x=40, y=100)
    form.checkbox(name="water", tooltip="With water", checked=False, x=40, y=60)
    sheet.page("Application")
    text = read("pdf", sheet.content()).text
    assert text == "Application\n\nName of the boat: Kittiwake\nWith power: Yes"


def test_comments_are_read_and_links_are_not(read: Reader) -> None:
    sheet = Sheet()
    sheet.linkURL("https://example.com/", (0, 0, 90, 90))
    sheet.textAnnotation("Is this still true?", Rect=(100, 100, 120, 120))
    sheet.page("The ferry leaves at noon.")
    assert read("pdf", sheet.content()).text == "The ferry leaves at noon.\n\nIs this still true?"


def test_pages_have_the_labels_that_the_pdf_gives_them(read: Reader) -> None:
    sheet = Sheet()
    sheet.addPageLabel(0, style="ROMAN_LOWER")
    sheet.addPageLabel(2, style="ARABIC", start=3)
    for text in ("Foreword.", "Contents.", "Chapter one."):
        sheet.page(text)
    assert [page.label for page in read("pdf", sheet.content()).pages] == ["i", "ii", ""]


def test_files_inside_a_pdf_are_named(read: Reader) -> None:
    def attach(pdf: pypdfium2.PdfDocument) -> None:
        for name in ("tides.csv", "note.txt"):
            pdf.new_attachment(name).set_data(b"x")

    extraction = read("pdf", changed(pages("See the files."), attach))
    assert sorted(extraction.metadata["attachments"].split(", ")) == ["note.txt", "tides.csv"]
    (warning,) = extraction.warnings
    assert warning.startswith("Files inside the PDF are named, not read: ")


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_is_shown_turned_is_read_as_it_is_shown(read: Reader, degrees: int) -> None:
    def turn(pdf: pypdfium2.PdfDocument) -> None:
        pdf[0].set_rotation(degrees)
        pdf[0].set_cropbox(20, 10, 390, 280)

    sheet = Sheet()
    sheet.translate(200, 150)
    sheet.rotate(degrees)
    for row in range(3):
        sheet.drawString(-120, 60 - 16 * row, f"This is line {row} of it.")
    sheet.drawString(-120, -1000, "Nobody sees this.")
    content = changed(sheet.content(), turn)
    said = [f"This is line {row} of it." for row in range(3)]
    assert read("pdf", content).text.split("\n") == said
    seen = read("pdf", content, ocr="force").text
    assert papers.likeness(" ".join(said), seen) >= 0.98


def test_words_divided_at_the_end_of_a_line_are_put_together(read: Reader) -> None:
    sheet = Sheet()
    sheet.page("Under the western win-", "dow lie the maps of Saxe-", "Coburg.")
    assert (
        read("pdf", sheet.content()).text == "Under the western window lie the maps of Saxe-Coburg."
    )


def test_a_page_that_is_missing_is_told_and_the_others_are_read(read: Reader) -> None:
    whole = pages("The first.", "The second.")
    with pypdfium2.PdfDocument(whole) as pdf:
        assert len(pdf) == 2
    second = whole.index(b"/Kids [ ") + len(b"/Kids [ ")
    kids = whole[second : whole.index(b"]", second)]
    last = kids.split(b" R")[1]
    missing = b" " + b"99".ljust(len(last.split()[0])) + b" 0"
    broken = whole.replace(kids, kids.replace(last, missing.ljust(len(last))))
    extraction = read("pdf", broken)
    assert [page.text for page in extraction.pages] == ["The first.", ""]
    assert extraction.quality == "partial"
    assert extraction.warnings == ("Page 2 is damaged and could not be read.",)


def test_progress_comes_with_every_page(read: Reader) -> None:
    read("pdf", pages("One.", "Two.", "Three."))
    assert read.progress[-1] == (3, 3, "page 3")


def test_several_scans_are_counted(read: Reader) -> None:
    scan = papers.scanned(papers.page("A page that is a picture.", size=(260, 90)))
    extraction = read("pdf", papers.as_pdf(scan, pages=2))
    assert [page.ocr for page in extraction.pages] == [True, True]
    assert extraction.warnings == ("2 pages had no text and were read by OCR.",)
