"""Pages drawn to be read, so that what they say is known, and a way to have them read."""

import io
from itertools import pairwise
from pathlib import Path

import pypdfium2
from PIL import Image
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Frame, Paragraph

from apps.processors.host import ProcessorHost
from apps.processors.kinds import KINDS
from apps.processors.protocol import Extraction, Options
from apps.processors.registry import processor_path_for
from tests.processors.conftest import BUDGET

MARGIN, GAP = 24, 20


class Reader:
    """`host` for many documents. What the last one reported is in `progress`."""

    def __init__(self, host: ProcessorHost, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self.progress: list[tuple[int, int, str]] = []

    def __call__(
        self, kind: str, content: bytes, operation: str = "extract", **options: object
    ) -> Extraction:
        self.progress = []
        source = self._folder / f"document{KINDS[kind].extensions[0]}"
        source.write_bytes(content)
        return self._host.run(
            processor=processor_path_for(operation, kind),
            source=source,
            name=source.name,
            kind=kind,
            options=Options.parse(options),
            owner="a",
            budget=BUDGET,
            on_progress=lambda *seen: self.progress.append(seen),
            should_stop=lambda: False,
        ).extraction


def page(text: str, *, columns: int = 1, size: tuple[int, int] = (330, 220)) -> bytes:
    """A PDF of one page with `text` in as many columns. `size` in points, 72 an inch."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    style = ParagraphStyle("plain", fontName="Times-Roman", fontSize=10, leading=13)
    width = (size[0] - 2 * MARGIN - (columns - 1) * GAP) / columns
    rest = [Paragraph(text, style)]
    for column in range(columns):
        left = MARGIN + column * (width + GAP)
        frame = Frame(left, MARGIN, width, size[1] - 2 * MARGIN, 0, 0, 0, 0)
        fitting = frame.split(rest[0], canvas)[:1] or rest
        fits = column < columns - 1
        rest = frame.split(rest[0], canvas)[1:] if fits else []
        frame.addFromList(list(fitting), canvas)
    canvas.save()
    return buffer.getvalue()


def scanned(document: bytes, dots_per_inch: int = 300) -> Image.Image:
    """The first page of a PDF in grey."""
    with pypdfium2.PdfDocument(document) as pdf:
        return pdf[0].render(scale=dots_per_inch / 72, grayscale=True).to_pil()


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def as_pdf(image: Image.Image, dots_per_inch: int = 300, *, pages: int = 1) -> bytes:
    """A PDF of pages that are the picture."""
    size = image.width * 72 / dots_per_inch, image.height * 72 / dots_per_inch
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for _ in range(pages):
        canvas.drawInlineImage(image, 0, 0, *size)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def likeness(truth: str, read: str) -> float:
    """The share of the characters of `truth` that were read right: 1 - edit distance / length.
    Blanks and ends of lines count as one blank."""
    truth, read = " ".join(truth.split()), " ".join(read.split())
    row = list(range(len(read) + 1))
    for number, wanted in enumerate(truth, 1):
        above, row = row, [number]
        for (diagonal, upper), seen in zip(pairwise(above), read, strict=True):
            row.append(min(upper + 1, row[-1] + 1, diagonal + (wanted != seen)))
    return 1 - row[-1] / len(truth)
