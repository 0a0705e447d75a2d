"""Documents that are hard to read: each is a trap some library falls into."""

import email.message
import io
import zipfile
import zlib
from pathlib import Path

import docx
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.pdf import iso_date
from tests.processors.office_files import Read, reader
from tests.processors.test_samples import OCR_ACCURACY, SAMPLES, accuracy, lines

pytestmark = pytest.mark.once


@pytest.fixture
def read(warm: ProcessorHost, tmp_path: Path) -> Read:
    return reader(warm, tmp_path)


def refusal(read: Read, kind: str, content: bytes, **options: object) -> str:
    with pytest.raises(BadDocument) as caught:
        read(kind, content, **options)
    return caught.value.code


# --- PDF ---


def pdf(pages: int, text: str = "A page.") -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    for _ in range(pages):
        canvas.drawString(72, 700, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def raw_pdf(stream: bytes, kids: bytes = b"[3 0 R]") -> bytes:
    """A PDF of one page whose content is `stream`, packed twice."""
    packed = zlib.compress(zlib.compress(stream, 9), 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids%b/Count %d>>" % (kids, kids.count(b"R")),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>",
        b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n%b\nendstream"
        % (len(packed), packed),
    ]
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    return out + b"xref\n0 5\n0000000000 65535 f \n" + table + end


def test_a_pdf_of_too_many_pages_is_refused_unless_some_are_chosen(read: Read) -> None:
    content = pdf(2001)
    assert refusal(read, "pdf", content) == "document.too_many_pages"
    assert read("pdf", content, pages="2001").pages[0].number == 2001


def test_a_pdf_without_pages_is_empty(read: Read) -> None:
    assert refusal(read, "pdf", raw_pdf(b"", kids=b"[]")) in (
        "document.empty",
        "document.corrupt",
    )


def test_a_blank_page_is_noted_and_no_failure(read: Read) -> None:
    extraction = read("pdf", raw_pdf(b"q Q"))
    assert extraction.text == ""
    assert extraction.warnings == ("Page 1 is without text.",)


def test_a_page_metres_wide_is_recognized_within_bounds(read: Read) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(8400, 11880), invariant=1)
    canvas.drawImage(str(SAMPLES / "survey.png"), 0, 0, 8400, 11880)
    canvas.save()
    assert accuracy(lines("SURVEY"), read("pdf", buffer.getvalue()).text) >= OCR_ACCURACY


def test_a_pdf_with_a_broken_table_is_read_all_the_same(read: Read) -> None:
    content = pdf(2, "The table of this file is gone.")
    broken = content[: content.rindex(b"xref\n0")]
    assert "The table of this file is gone." in read("pdf", broken).text


# --- pictures ---


def picture(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_scan_is_read(read: Read, degrees: int) -> None:
    with Image.open(SAMPLES / "survey.png") as upright:
        turned = picture(upright.convert("L").rotate(degrees, expand=True))
    assert accuracy(lines("SURVEY"), read("png", turned).text) >= OCR_ACCURACY


def test_the_camera_knows_which_way_is_up(read: Read) -> None:
    with Image.open(SAMPLES / "parking-photo.jpg") as upright:
        exif = Image.Exif()
        exif[0x0112] = 6  # turned to the right to be upright
        turned = picture(upright.rotate(90, expand=True), "JPEG", exif=exif, quality=90)
    assert accuracy(lines("PARKING"), read("jpeg", turned).text) >= OCR_ACCURACY


def test_black_on_transparent_is_read(read: Read) -> None:
    with Image.open(SAMPLES / "survey.png") as scan:
        grey = scan.convert("L")
    clear = Image.new("RGBA", grey.size, (0, 0, 0, 0))
    clear.putalpha(grey.point(lambda value: 255 - value))
    assert accuracy(lines("SURVEY"), read("png", picture(clear)).text) >= OCR_ACCURACY


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(read: Read) -> None:
    bomb = picture(Image.new("1", (30_000, 30_000)))
    assert len(bomb) < 200_000
    assert refusal(read, "png", bomb) == "document.bomb"


def test_a_picture_without_text_is_noted(read: Read) -> None:
    extraction = read("png", picture(Image.new("L", (400, 300), "white")))
    assert extraction.text == ""
    assert extraction.warnings == ("No text was found in the picture.",)


def test_a_single_pixel_is_too_small(read: Read) -> None:
    assert refusal(read, "png", picture(Image.new("L", (1, 1)))) == "document.unsupported"


# --- pages of the web ---


def test_a_hundred_thousand_nested_tags_are_read(read: Read) -> None:
    depth = 100_000
    content = b"<div>" * depth + b"the bottom" + b"</div>" * depth
    assert read("html", content).text == "the bottom"


def test_a_page_that_lies_about_its_encoding_is_read(read: Read) -> None:
    content = '<meta charset="utf-8"><p>Überall größere Bögen, süße Äpfel und weiße Mäuse</p>'
    assert "größere Bögen" in read("html", content.encode("cp1252")).text


def test_a_page_in_utf_16_is_read(read: Read) -> None:
    assert read("html", "<p>größer</p>".encode("utf-16")).text == "größer"


def test_an_html_file_without_markup_is_its_own_text(read: Read) -> None:
    assert read("html", b"only a < b and words").text == "only a < b and words"


# --- Word ---


def test_an_encrypted_word_file_is_said_to_be(read: Read) -> None:
    assert refusal(read, "docx", bytes.fromhex("d0cf11e0a1b11ae1") * 100) == "document.encrypted"


def test_a_word_file_is_guarded_in_the_child_too(read: Read) -> None:
    buffer = io.BytesIO()
    docx.Document().save(buffer)
    with zipfile.ZipFile(buffer, "a") as package:
        package.writestr("../outside", "x")
    assert refusal(read, "docx", buffer.getvalue()) == "document.unsafe"


def test_notes_of_the_library_on_styles_are_taken_out(read: Read) -> None:
    document = docx.Document()
    document.add_heading("A heading", 2)
    document.add_paragraph("He said (style_name: heading 1) aloud.")
    buffer = io.BytesIO()
    document.save(buffer)
    text = read("docx", buffer.getvalue()).text
    assert text.split("\n")[0].strip() == "A heading"
    assert "He said (style_name: heading 1) aloud." in text


def test_a_word_file_without_text_is_noted(read: Read) -> None:
    buffer = io.BytesIO()
    docx.Document().save(buffer)
    assert read("docx", buffer.getvalue()).warnings == ("There is no text in the file.",)


# --- text ---


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Быстрая коричневая лиса прыгает через ленивую собаку. " * 5, "koi8-r"),
        ("Γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. " * 5, "cp1253"),
        ("これは日本語の短い文章です。港は今日も静かでした。" * 5, "cp932"),
        ("这是一个简单的句子。港口今天很安静。" * 5, "gb18030"),
        ("Zażółć gęślą jaźń, mówił bosman w porcie. " * 5, "cp1250"),
        ("Plain words and more of them.", "utf-32"),
        ("Plain words and more of them.", "utf-16-le"),
    ],
)
def test_text_in_odd_encodings_is_read(read: Read, text: str, encoding: str) -> None:
    assert read("txt", text.encode(encoding)).text == text


def test_a_stray_nul_does_not_hide_the_text(read: Read) -> None:
    assert read("txt", b"before\x00after and more words").text == "beforeafter and more words"


def test_a_text_of_blanks_is_empty(read: Read) -> None:
    assert refusal(read, "txt", b" \n\t\n") == "document.empty"


@pytest.mark.parametrize(
    ("content", "delimiter", "columns"),
    [
        (b'a,"b;c;d",e\n1,"2;3;4",5\n', "comma", "3"),
        (b"a;b,c\n1;2,5\n", "semicolon", "2"),
        (b"a\tb\tc\n1\t2\t3\n", "tab", "3"),
        (b"a|b\n1|2\n", "bar", "2"),
        (b"one\ntwo\n", "comma", "1"),
    ],
)
def test_how_a_table_is_separated(read: Read, content: bytes, delimiter: str, columns: str) -> None:
    metadata = read("csv", content).metadata
    assert (metadata["delimiter"], metadata["columns"]) == (delimiter, columns)


# --- mail ---


def test_a_mail_of_html_only_is_read(read: Read) -> None:
    message = email.message.EmailMessage()
    message["From"] = "a@example.com"
    message.set_content("<p>Only <b>here</b></p>", subtype="html")
    assert read("eml", message.as_bytes()).text == "Only here"


def test_a_mail_with_a_wrong_charset_and_broken_headers_is_read(read: Read) -> None:
    content = (
        b"From: a@example.com\nTo: =?utf-8?q?=C3?= <<>>@@\nDate: nonsense\nMessage-ID: <\n"
        b'Content-Type: text/plain; charset="no-such"\nContent-Transfer-Encoding: 8bit\n\n'
        b"The quay is closed, gr\xc3\xb6\xc3\x9fer ships wait outside.\n"
    )
    extraction = read("eml", content)
    assert extraction.text == "The quay is closed, größer ships wait outside."
    assert extraction.metadata["from"] == "a@example.com"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("D:20240304", "2024-03-04"),
        ("D:20240304093015Z", "2024-03-04T09:30:15Z"),
        ("D:202403040930+01'30'", "2024-03-04T09:30:00+01:30"),
        ("D:20240304093015-05", "2024-03-04T09:30:15-05:00"),
        ("yesterday", ""),
    ],
)
def test_dates_of_a_pdf(written: str, told: str) -> None:
    assert iso_date(written) == told
