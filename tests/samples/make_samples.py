"""Make the documents in `samples/`. They are committed; run this only to change them.

    .venv/bin/python tests/samples/make_samples.py

Everything in them is invented. The same versions of the libraries give the same bytes.
"""

import io
import random
import zipfile
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import docx
import pypdfium2
from PIL import Image, ImageFilter
from prose import (
    CSV_ROWS,
    HARBOUR_LOG,
    HOUSE_RULES,
    HTML_NOTICE,
    INVOICE,
    KNOTS,
    LETTER,
    MAIL,
    PARKING,
    RECIPE,
    SURVEY,
)
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
THE_DAY = datetime(2024, 3, 4, 9, 30, tzinfo=UTC)
PASSWORD = "lighthouse"
SCAN_DOTS_PER_INCH = 150
LEFT, TOP, LINE = 72, 770, 16


def main() -> None:
    letter, survey = pdf_of([LETTER]), scanned(SURVEY)
    samples = {
        "harbour-log.pdf": pdf_of([*HARBOUR_LOG], title="Harbour log, March"),
        "invoice-scan.pdf": pdf_of([scanned(INVOICE)]),
        "letter-with-scan.pdf": pdf_of([LETTER, survey]),
        "hausordnung.pdf": pdf_of([HOUSE_RULES], title="Hausordnung"),
        "locked.pdf": pdf_of([LETTER], password=PASSWORD),
        "damaged.pdf": damaged(letter),
        "recipe.docx": word(RECIPE),
        "notice.html": HTML_NOTICE.encode(),
        "order.eml": mail(MAIL),
        "tides-cp1252.csv": "\r\n".join(";".join(row) for row in CSV_ROWS).encode("cp1252"),
        "tides-utf16.csv": "\r\n".join("\t".join(row) for row in CSV_ROWS).encode("utf-16"),
        "knots.txt": KNOTS.encode(),
        "survey.png": saved(survey.quantize(8), "PNG"),
        "parking-photo.jpg": saved(photographed(scanned(PARKING)), "JPEG", quality=60),
    }
    for name, content in samples.items():
        (SAMPLES / name).write_bytes(content)


def pdf_of(pages: list[list[str] | Image.Image], *, title: str = "", password: str = "") -> bytes:
    """A PDF with one page for each list of lines or picture."""
    lock = StandardEncryption(password, canPrint=0) if password else None
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, encrypt=lock)
    canvas.setTitle(title)
    canvas.setAuthor("Example Ltd")
    canvas.setSubject("")
    for page in pages:
        if isinstance(page, Image.Image):
            picture = ImageReader(io.BytesIO(saved(page, "JPEG", quality=55)))
            canvas.drawImage(picture, 0, 0, *A4)
        else:
            canvas.setFont("Helvetica", 11)
            for row, line in enumerate(page):
                canvas.drawString(LEFT, TOP - row * LINE, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scanned(lines: list[str]) -> Image.Image:
    """The page as a scanner gives it back: grey, a little soft, with dust."""
    pdf = pypdfium2.PdfDocument(pdf_of([lines]))
    page = pdf[0].render(scale=SCAN_DOTS_PER_INCH / 72, grayscale=True).to_pil()
    dust = random.Random(7)
    for _ in range(300):
        spot = dust.randrange(page.width), dust.randrange(page.height)
        page.putpixel(spot, dust.randrange(90, 200))
    return page.filter(ImageFilter.GaussianBlur(0.4))


def photographed(page: Image.Image) -> Image.Image:
    """The upper half of the page, held at an angle, on a table in the evening."""
    half = page.crop((0, 0, page.width, page.height // 2))
    turned = half.rotate(2.5, expand=True, fillcolor=120, resample=Image.Resampling.BICUBIC)
    return turned.point(lambda value: int(30 + value * 0.75)).convert("RGB")


def damaged(pdf: bytes) -> bytes:
    """The first third, with every object's header overwritten, as after a broken disk."""
    return pdf[: len(pdf) // 3].replace(b"obj", b"\x00\xff\x00").replace(b"<<", b"\x1c\x1c")


def word(content: tuple[str, list[str], list[tuple[str, str]], list[str]]) -> bytes:
    title, introduction, ingredients, steps = content
    document = docx.Document()
    document.core_properties.title = title
    document.core_properties.author = "Example Ltd"
    document.core_properties.created = document.core_properties.modified = THE_DAY
    document.add_heading(title, 1)
    for paragraph in introduction:
        document.add_paragraph(paragraph)
    table = document.add_table(rows=0, cols=2)
    for amount, ingredient in ingredients:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = amount, ingredient
    for step in steps:
        document.add_paragraph(step, style="List Number")
    buffer = io.BytesIO()
    document.save(buffer)
    return without_dates(buffer.getvalue())


def without_dates(package: bytes) -> bytes:
    """The same ZIP with one date on all members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            member = zipfile.ZipInfo(name, THE_DAY.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(name))
    return buffer.getvalue()


def mail(lines: list[str]) -> bytes:
    message = EmailMessage()
    message["From"] = "Stores <stores@example.com>"
    message["To"] = "Harbour office <office@example.com>"
    message["Subject"] = "Order 4711: rope and varnish for the café boat"
    message["Date"] = THE_DAY
    message["Message-ID"] = "<4711@example.com>"
    message.set_content("\n".join(lines))
    rows = "\r\n".join(",".join(row) for row in CSV_ROWS[:4])
    message.add_attachment(rows.encode(), maintype="text", subtype="csv", filename="tides.csv")
    message.set_boundary("sample-boundary")
    return message.as_bytes()


def saved(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, optimize=True, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
