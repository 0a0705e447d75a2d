"""Pictures of text: PNG and JPEG, by OCR."""

from PIL import Image, ImageOps, UnidentifiedImageError

from apps.processors import language, ocr
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.text import without_pages

MAX_PIXELS = 100_000_000
MIN_SIDE = 3  # Tesseract refuses less
FORMATS = {"png": "PNG", "jpeg": "JPEG"}
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError)
"""What Pillow raises on damaged files, SyntaxError among it."""


class ImageProcessor:
    """One page per picture. `options.ocr` never leaves only the measures of the picture."""

    name = "image"
    version = ocr.VERSION
    operations = frozenset({"extract", "ocr"})
    accepts = frozenset({"png", "jpeg"})

    def __init__(self) -> None:
        self._language = language.shared()
        self._ocr = ocr.shared()
        Image.init()  # every format, for some are asked about others: EXIF data is TIFF
        # Dimensions are checked below, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "opening")
        try:
            page, metadata = self._page(document, report)
        except DAMAGED as error:
            raise BadDocument("document.corrupt", "The picture is damaged.") from error
        report(1, 1, "read")
        noted = () if page.text else (_why_empty(page),)
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=self.version,
            language=self._language(page.text),
            metadata=metadata,
            warnings=(*noted, *without_pages(document)),
        )

    def _page(self, document: Document, report: Report) -> tuple[Page, dict[str, str]]:
        with Image.open(document.path, formats=[FORMATS[document.kind]]) as picture:
            metadata = {"width": str(picture.width), "height": str(picture.height)}
            _check_size(picture)
            if document.options.ocr == "never":
                return Page(number=1, text=""), metadata
            report(0, 1, "recognizing")
            seen = self._ocr.read(prepared(picture), document.options.languages)
        if not seen.text:
            return Page(number=1, text="", ocr=True), metadata
        return Page(number=1, text=seen.text, ocr=True, confidence=seen.confidence), metadata


def _why_empty(page: Page) -> str:
    return "No text was found in the picture." if page.ocr else "OCR was switched off."


def prepared(picture: Image.Image) -> Image.Image:
    """Grey, upright as the camera noted, on white, no side longer than OCR needs."""
    if picture.format == "JPEG":
        picture.draft("L", (ocr.MAX_SIDE, ocr.MAX_SIDE))
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    grey = upright.convert("L")
    grey.thumbnail((ocr.MAX_SIDE, ocr.MAX_SIDE))
    return grey


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise BadDocument(
            "document.bomb",
            f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels.",
        )
    if min(picture.size) < MIN_SIDE:
        raise BadDocument("document.unsupported", "The picture is too small to hold text.")
