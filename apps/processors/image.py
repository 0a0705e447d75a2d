"""Pictures of text, by OCR: PNG, JPEG, WebP, GIF, HEIC, and every page of a TIFF."""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import pi_heif
from PIL import ExifTags, Image, ImageOps, ImageStat

from apps.processors import language, ocr
from apps.processors.errors import BadDocument
from apps.processors.pictures import DAMAGED, FORMATS, MAX_PIXELS
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.searchable import Searchable, font
from apps.processors.text import without_pages

MAX_PAGES = 2000
MIN_SIDE = 3  # Tesseract refuses less
SMALL_SIDE = 1200
"""Below this letters have too few pixels: at twice the size twice as many of them are read."""
PAGED = frozenset({"tiff"})
SWOLLEN = re.compile("too large|too much memory", re.IGNORECASE)
"""What Pillow says of texts in a PNG that unpack to more than it takes."""
DEEP = frozenset({"I", "F"})
COLOURED = frozenset({"RGB", "P", "CMYK", "YCbCr"})
EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")
EXIF_ZONE = re.compile(r"[+-]\d\d:\d\d")
NOTED = {
    "title": (ExifTags.Base.DocumentName, "Title"),
    "author": (ExifTags.Base.Artist, "Author"),
    "description": (ExifTags.Base.ImageDescription, "Description"),
}
"""Per key of the metadata: the tag in EXIF and TIFF, the keyword in PNG. Where a picture was
taken is nobody's business here."""
MAX_NOTE = 1000
LEAST_DPI = 10
"""Less stands there when nothing is known."""


@dataclass
class _Album:
    """What was read of one file."""

    searchable: Searchable
    pages: list[Page] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class ImageProcessor:
    """One page per picture, and per page of a TIFF. Of animations, the first picture.
    `options.ocr` never leaves only what is noted about the picture."""

    name = "image"
    version = ocr.VERSION
    operations = frozenset({"extract", "ocr"})
    accepts = frozenset(FORMATS)

    def __init__(self) -> None:
        self._language = language.shared()
        self._ocr = ocr.shared()
        font()
        pi_heif.register_heif_opener()
        Image.init()  # every format, for some are asked about others: EXIF data is TIFF
        # Dimensions are checked below, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "opening")
        try:
            album = self._album(document, report)
            artifacts = album.searchable.finish()
        except DAMAGED as error:
            if SWOLLEN.search(str(error)):
                raise BadDocument(
                    "document.bomb", "The notes in the picture unpack to far more than they should."
                ) from error
            raise BadDocument("document.corrupt", "The picture is damaged.") from error
        return Extraction(
            pages=tuple(album.pages),
            kind=document.kind,
            engine=self.version,
            language=self._language("\n".join(page.text for page in album.pages[:10])),
            metadata=album.metadata,
            warnings=(
                *album.warnings,
                *_shortcomings(album, document),
                *album.searchable.warnings,
            ),
            quality="partial" if album.damaged else "full",
            artifacts=artifacts,
        )

    def _album(self, document: Document, report: Report) -> _Album:
        # Not by its path: Pillow then maps plain TIFFs into memory, and garbles those to be turned.
        with (
            document.path.open("rb") as file,
            Image.open(file, formats=[FORMATS[document.kind]]) as picture,
        ):
            _check_size(picture)
            album = _Album(Searchable(document), metadata=_metadata(picture))
            numbers = [1]
            if document.kind in PAGED:
                count = _count(picture)
                album.metadata["pages"] = str(count)
                numbers = _chosen(count, document)
            elif document.kind != "jpeg" and getattr(picture, "is_animated", False):
                album.warnings.append("Of several pictures in the file, the first was read.")
            for done, number in enumerate(numbers):
                report(done, len(numbers), f"page {number}")
                album.pages.append(self._page(picture, number, document, album))
                report(done + 1, len(numbers), f"page {number}", page=album.pages[-1])
        if len(album.damaged) == len(numbers):
            raise BadDocument("document.corrupt", "The picture is damaged.")
        return album

    def _page(self, picture: Image.Image, number: int, document: Document, album: _Album) -> Page:
        try:
            picture.seek(number - 1)
            _check_size(picture)
            if document.options.ocr == "never":
                return Page(number=number, text="")
            grey = prepared(picture, in_colour=album.searchable.is_wanted)
        except DAMAGED:
            album.damaged.append(number)
            return Page(number=number, text="")
        seen = self._ocr.read(
            grey, document.options.languages, with_words=album.searchable.is_wanted
        )
        size = (grey.width * 72 / ocr.DOTS_PER_INCH, grey.height * 72 / ocr.DOTS_PER_INCH)
        album.searchable.show(partial(_shown, picture, grey), size, seen.words)
        if not seen.text:
            return Page(number=number, text="")
        return Page(number=number, text=seen.text, ocr=True, confidence=seen.confidence)


def prepared(picture: Image.Image, *, in_colour: bool = False) -> Image.Image:
    """Grey, upright as the camera noted, opaque, and as large as OCR likes it. `picture` itself
    keeps its colours only where they are asked for: in grey a JPEG takes less to open."""
    if picture.format == "JPEG":
        picture.draft(None if in_colour else "L", (ocr.MAX_SIDE, ocr.MAX_SIDE))
    picture.load()  # this turns a TIFF upright, and takes the note of it away
    upright = ImageOps.exif_transpose(picture)
    grey = _opaque(upright) if upright.has_transparency_data else _in_bytes(upright)
    grey.thumbnail((ocr.MAX_SIDE, ocr.MAX_SIDE))
    if max(grey.size) < SMALL_SIDE:
        return grey.resize((grey.width * 2, grey.height * 2), Image.Resampling.BICUBIC)
    return grey


def _shown(picture: Image.Image, grey: Image.Image) -> Image.Image:
    """What `grey` was prepared from, not larger, in colour where that is simple."""
    if picture.mode not in COLOURED or picture.has_transparency_data:
        return grey
    upright = ImageOps.exif_transpose(picture).convert("RGB")
    upright.thumbnail(grey.size)
    return upright


def _opaque(picture: Image.Image) -> Image.Image:
    """In grey: dark things on white, light ones on black."""
    coloured = picture.convert("RGBA")
    grey, alpha = coloured.convert("L"), coloured.getchannel("A")
    visible = alpha.point(lambda value: 255 * (value > 127))
    is_light = visible.getbbox() is not None and ImageStat.Stat(grey, visible).mean[0] > 127
    return Image.composite(grey, Image.new("L", grey.size, 0 if is_light else 255), alpha)


def _in_bytes(picture: Image.Image) -> Image.Image:
    """In grey; of pictures with more than 256 shades the darkest becomes black, the lightest
    white, for scanners use 10 or 12 of the 16 bits."""
    if picture.mode not in DEEP and not picture.mode.startswith("I;16"):
        return picture.convert("L")
    deep = picture.convert("I").convert("F") if picture.mode != "F" else picture
    low, high = cast(tuple[float, float], deep.getextrema())  # of a picture of one band
    stretch = 255 / (high - low or 1)
    return deep.point(lambda value: value * stretch - low * stretch).convert("L")


def _count(picture: Image.Image) -> int:
    """How many pages there are, up to the first that is damaged, and with it. Raises BadDocument
    when they are too many."""
    for count in range(1, MAX_PAGES + 1):
        try:
            picture.seek(count)
        except EOFError:
            picture.seek(0)
            return count
        except DAMAGED:
            picture.seek(0)
            return count + 1
    raise BadDocument("document.too_many_pages", f"The picture has more than {MAX_PAGES} pages.")


def _chosen(count: int, document: Document) -> list[int]:
    if numbers := document.options.page_numbers(count):
        return numbers
    raise BadDocument(
        "document.pages",
        f"The picture has {count} page{'s' * (count > 1)}; none of the chosen ones is in it.",
    )


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise BadDocument(
            "document.bomb",
            f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels.",
        )
    if min(picture.size) < MIN_SIDE:
        raise BadDocument("document.unsupported", "The picture is too small to hold text.")


def _shortcomings(album: _Album, document: Document) -> list[str]:
    """What is missing, as warnings."""
    found = [f"Page {number} is damaged and could not be read." for number in album.damaged]
    if document.options.ocr == "never":
        found.append("OCR was switched off.")
    elif not any(page.text for page in album.pages):
        found.append("No text was found in the picture.")
    return found if document.kind in PAGED else [*found, *without_pages(document)]


def _metadata(picture: Image.Image) -> dict[str, str]:
    found = {"width": str(picture.width), "height": str(picture.height)}
    dots = picture.info.get("dpi")
    if isinstance(dots, tuple) and dots[0] >= LEAST_DPI:
        found["dpi"] = str(round(dots[0]))
    exif = picture.getexif()
    for key, (tag, keyword) in NOTED.items():
        if note := _note(exif.get(tag)) or _note(picture.info.get(keyword)):
            found[key] = note
    if taken := _taken(exif):
        found["created_at"] = taken
    return found


def _note(value: object) -> str:
    return value.strip("\x00 \t\r\n")[:MAX_NOTE] if isinstance(value, str) else ""


def _taken(exif: Image.Exif) -> str:
    """When the camera took the picture, in ISO 8601, or ""."""
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    match = EXIF_DATE.match(str(camera.get(ExifTags.Base.DateTimeOriginal, "")))
    if not match:
        return ""
    zone = str(camera.get(ExifTags.Base.OffsetTimeOriginal, ""))
    known = zone if EXIF_ZONE.fullmatch(zone) else ""
    return f"{match[1]}-{match[2]}-{match[3]}T{match[4]}{known}"
