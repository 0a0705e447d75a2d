"""PDFs by reportlab, Chromium, groff with Ghostscript, Tesseract and qpdf."""

import io
import subprocess
from pathlib import Path

from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from tests.data.make.common import AUTHOR, BROKEN, DATA, PASSWORD, TABLES, TEXTS
from tests.data.make.pictures import drawn

DEJAVU = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LEFT, TOP, LINE = 60, 780, 20


def make(scratch: Path) -> None:
    plain = scratch / "plain.pdf"
    plain.write_bytes(pages([TEXTS["harbour"], TEXTS["weather"]], title="The harbour"))
    (DATA / "more.pdf").write_bytes(pages([TEXTS["more"]], title="Маяк", font=DEJAVU))
    (DATA / "form.pdf").write_bytes(_form())
    (DATA / "rotated.pdf").write_bytes(
        pages([TEXTS["harbour"], TEXTS["weather"], TEXTS["garden"]], title="Turned", turned=2)
    )
    scan = drawn(TEXTS["survey"]).convert("1", dither=Image.Dither.NONE)
    (DATA / "text-and-scan.pdf").write_bytes(
        pages([TEXTS["library"], scan, TEXTS["garden"]], title="Survey with letter")
    )
    (DATA / "scan-turned.pdf").write_bytes(
        pages([scan.rotate(90, expand=True)], title="Scanned sideways")
    )
    (BROKEN / "blank-pages.pdf").write_bytes(pages([TEXTS["garden"], [], []], title="Blank"))
    (BROKEN / "only-blank.pdf").write_bytes(pages([[], []], title="Blank"))
    _chromium(scratch)
    _groff(scratch)
    _tesseract(scratch)
    _qpdf(plain, scratch)


def pages(
    contents: list[list[str] | Image.Image], *, title: str, font: str = "", turned: int = 0
) -> bytes:
    """A page for each list of lines or picture; page `turned` has to be turned."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setTitle(title)
    canvas.setAuthor(AUTHOR)
    name = "Helvetica"
    if font:
        pdfmetrics.registerFont(TTFont("Own", font))
        name = "Own"
    for number, content in enumerate(contents, 1):
        canvas.setPageRotation(0)
        if number == turned:  # lies on its side in the file, and is turned up to be shown
            canvas.setPageRotation(90)
            canvas.translate(A4[1], 0)
            canvas.rotate(90)
        if isinstance(content, Image.Image):
            scale = min(A4[0] / content.width, A4[1] / content.height)
            size = content.width * scale, content.height * scale
            canvas.drawImage(ImageReader(content), 0, A4[1] - size[1], *size)
        else:
            canvas.setFont(name, 11)
            for row, line in enumerate(content):
                canvas.drawString(LEFT, TOP - row * LINE, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _form() -> bytes:
    """A form that was filled in: the answers are in the fields, not in the page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setTitle("Application for a mooring")
    canvas.drawString(LEFT, TOP, "Application for a mooring in the inner harbour")
    for row, (label, value) in enumerate({"Boat": "Kittiwake", "Owner": "Example Ltd"}.items(), 1):
        canvas.drawString(LEFT, TOP - 40 * row, f"{label}:")
        canvas.acroForm.textfield(
            name=label, value=value, x=LEFT + 80, y=TOP - 40 * row - 8, width=200, height=24
        )
    canvas.acroForm.checkbox(name="electric", checked=True, x=LEFT, y=TOP - 130)
    canvas.drawString(LEFT + 40, TOP - 126, "With electricity on the quay")
    canvas.save()
    return buffer.getvalue()


def _chromium(scratch: Path) -> None:
    rows = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in TABLES["fees"]
    )
    said = "".join(f"<p>{words}</p>" for words in TEXTS["marche"])
    page = scratch / "marche.html"
    page.write_text(
        "<!doctype html><html lang=fr><meta charset=utf-8><title>Le marché</title>"
        f"<h1>Le marché</h1>{said}<table border=1>{rows}</table>"
    )
    subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--no-pdf-header-footer",
            f"--print-to-pdf={DATA / 'marche.pdf'}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
    )


def _groff(scratch: Path) -> None:
    """Set by groff, distilled by Ghostscript: Type 1 fonts, ligatures, kerned lines."""
    source = ".nh\n.po 3c\n.ll 12c\n.sp 2c\n" + "\n".join(TEXTS["bread"] + TEXTS["library"]) + "\n"
    script = scratch / "bread.ps"
    groff = ["groff", "-Tps", "-P-pa4"]
    script.write_bytes(
        subprocess.run(groff, input=source.encode(), capture_output=True, check=True).stdout
    )
    subprocess.run(["ps2pdf", script, DATA / "groff.pdf"], check=True)


def _tesseract(scratch: Path) -> None:
    """A scan with its text already behind the picture: nothing is left for OCR to do."""
    picture = scratch / "ticket-scan.png"
    drawn(TEXTS["ticket"]).save(picture, dpi=(200, 200))
    subprocess.run(
        ["tesseract", picture, DATA / "searchable-scan", "pdf"], check=True, capture_output=True
    )


def _qpdf(plain: Path, scratch: Path) -> None:
    attached = scratch / "tides.csv"
    attached.write_text("\n".join(",".join(row) for row in TABLES["tides"]))
    note = scratch / "note.txt"
    note.write_text("\n".join(TEXTS["bread"]))
    for options, target in (
        (
            ["--add-attachment", attached, "--", "--add-attachment", note, "--"],
            DATA / "with-attachments.pdf",
        ),
        (["--linearize", "--object-streams=generate"], DATA / "linearized.pdf"),
        (["--encrypt", "", "owner", "256", "--extract=n", "--"], DATA / "owner-password.pdf"),
        (["--encrypt", PASSWORD, "owner", "256", "--"], BROKEN / "locked.pdf"),
        (
            ["--allow-weak-crypto", "--encrypt", PASSWORD, "owner", "40", "--"],
            BROKEN / "locked-rc4.pdf",
        ),
    ):
        subprocess.run(["qpdf", plain, *options, target], check=True)
