"""Pictures of single pages, to look at beside their text: PDF by PDFium, images by Pillow.

Nothing that reads text is loaded here, so that a child for pictures starts quickly.
"""

import io
from importlib.metadata import version
from pathlib import Path

import pi_heif
import pypdfium2
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from apps.processors import pdf_opening
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Member, Report

WIDTHS = (320, 960, 1600)
"""Pixels; all are made of one rendering. A picture that is smaller by itself stays as it is."""
TALLEST = 3
"""A page that is more than this times as high as wide gets a picture that is less wide."""
MAX_PIXELS = 100_000_000
QUALITY, EFFORT = 80, 2  # of 100 and of 6: half the time of the usual effort for 4 % more bytes
FORMATS = {
    "png": "PNG",
    "jpeg": "JPEG",
    "tiff": "TIFF",
    "webp": "WEBP",
    "gif": "GIF",
    "heic": "HEIF",
}
DRAWN = frozenset({"pdf", *FORMATS})
"""Kinds whose pages can be drawn."""
GREY = frozenset({"1", "L", "I", "F"})
LAST_PAGE = 999_999  # that can be asked for
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, EOFError, UnidentifiedImageError)
"""What Pillow raises on damaged files; TypeError for a page without dimensions."""


class PagePicture:
    """Draws the first page of `options.pages` as WebP: a member for each of WIDTHS, called so."""

    name = "picture"
    version = f"pypdfium2 {version('pypdfium2')} + pillow {version('pillow')}"
    operations = frozenset({"picture"})
    accepts = DRAWN

    def __init__(self) -> None:
        pi_heif.register_heif_opener()
        Image.init()
        Image.MAX_IMAGE_PIXELS = None  # measures are checked below, before anything is decoded
        _warm()

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "drawing")
        picture = _of_pdf(document) if document.kind == "pdf" else _of_image(document)
        members = []
        for width in WIDTHS:
            path = Path(f"{width}.webp")
            _fitted(picture, width).save(path, "WEBP", quality=QUALITY, method=EFFORT)
            members.append(Member(name=str(width), path=str(path)))
        return Extraction(pages=(), kind=document.kind, engine=self.version, members=tuple(members))


def _of_pdf(document: Document) -> Image.Image:
    try:
        pdf = pdf_opening.opened(document.path.read_bytes(), document.options.password)
        pdf.init_forms()  # or what was filled in is not drawn
        return _drawn(pdf[_chosen(document, len(pdf)) - 1])
    except pypdfium2.PdfiumError as error:
        raise BadDocument("document.corrupt", "The page is damaged.") from error


def _drawn(page: pypdfium2.PdfPage) -> Image.Image:
    """The page upright as /Rotate says, and never larger than is shown: pages may be miles wide."""
    width, height = (max(side, 1.0) for side in page.get_size())
    scale = min(WIDTHS[-1] / width, TALLEST * WIDTHS[-1] / height)
    drawn: Image.Image = page.render(scale=scale).to_pil()
    return drawn


def _of_image(document: Document) -> Image.Image:
    try:
        with Image.open(document.path, formats=[FORMATS[document.kind]]) as picture:
            picture.draft("RGB", (WIDTHS[-1], WIDTHS[-1]))  # of a JPEG, only as much as is needed
            _turn_to(picture, _chosen(document))
            if picture.width * picture.height > MAX_PIXELS:
                detail = f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels."
                raise BadDocument("document.bomb", detail)
            return _upright(picture)
    except DAMAGED as error:
        raise BadDocument("document.corrupt", "The picture is damaged.") from error


def _turn_to(picture: Image.Image, frame: int) -> None:
    """To the frame of that number, from 1. They are found one by one, so they are not counted."""
    try:
        picture.seek(frame - 1)
    except EOFError as error:
        raise _no_such_page() from error


def _upright(picture: Image.Image) -> Image.Image:
    """In colours, small, on white, and turned as the camera noted."""
    picture.load()  # a TIFF is turned by this
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    plain = _plain(picture)
    longest = TALLEST * WIDTHS[-1]
    plain.thumbnail((longest, longest))  # before the rest, which takes several copies
    if plain.mode == "RGBA":
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, "white"), plain)
    plain.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(plain).convert("RGB")


def _plain(picture: Image.Image) -> Image.Image:
    """In a mode that can be made smaller: grey, or colours with or without transparency."""
    if picture.mode.startswith("I;16"):
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in GREY else "RGB")


def _fitted(picture: Image.Image, width: int) -> Image.Image:
    fitted = picture.copy()
    fitted.thumbnail((width, TALLEST * width))
    return fitted


def _chosen(document: Document, count: int = LAST_PAGE) -> int:
    numbers = document.options.page_numbers(count)
    if not numbers:
        raise _no_such_page()
    return numbers[0]


def _no_such_page() -> BadDocument:
    return BadDocument("document.pages", "The document has no such page.")


def _warm() -> None:
    """Use every part of the libraries once, for what they import on first use."""
    pdf = pypdfium2.PdfDocument.new()
    pdf.init_forms()
    picture = _drawn(pdf.new_page(10, 10))
    pdf.close()
    for kind in FORMATS.values():
        sink = io.BytesIO()
        if kind != "HEIF":  # pi-heif reads only
            picture.save(sink, kind)
            with Image.open(sink) as again:
                _upright(again)
