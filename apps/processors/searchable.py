"""A PDF of scanned pages whose words can be searched and copied: the text lies unseen over the
pictures. By PDFium; nothing is started and nothing is fetched.
"""

import ctypes
import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from apps.processors.protocol import Document, Member

FONT = Path(__file__).with_name("glyphless.ttf")
"""Tesseract's pdf.ttf (Apache-2.0): one empty glyph, half as wide as high."""
GLYPH_WIDTH = 0.5
JPEG_QUALITY = 75
MAX_PICTURE_BYTES = 200 * 1024 * 1024
"""Of all pages of pictures together: they are in memory until the file is written."""
TARGET = "searchable.pdf"
UNITS = 10_000
WITHOUT_BLANKS = "\u2e80"
"""Where scripts begin that have no blanks between their words."""
# Every code is the UTF-16 unit that it stands for (ISO 32000-1, 9.10.3) and has the one glyph.
TO_UNICODE = b"""/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identify-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
1 beginbfrange
<0000> <FFFF> <0000>
endbfrange
endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""
CODE_TO_GLYPH = b"\x00\x01" * 0x10000

Point = tuple[float, float]


@dataclass(frozen=True)
class Word:
    """A word and three corners of its box as one reads it, so that it may stand on its head: in
    parts of the picture's width and height, from the left and from the top."""

    text: str
    bottom_left: Point
    bottom_right: Point
    top_left: Point


class Searchable:
    """The searchable PDF of one document, if it is wanted: pages are added, then it is finished.
    What fails here is told in `warnings` and fails nothing else."""

    def __init__(self, document: Document, original: bytes | None = None) -> None:
        """Over the pages of the PDF `original`, or of pictures."""
        self.is_wanted = document.wants_searchable
        self.warnings: list[str] = []
        self._original = original
        self._password = document.options.password
        self._pdf: _Pdf | None = None
        self._has_words = False

    def lay(self, index: int, words: Sequence[Word]) -> None:
        """Lay `words` over a page of the original, counted from 0."""
        self._try(lambda pdf: pdf.write(index, words))
        self._has_words = True

    def show(
        self, picture: Callable[[], Image.Image], size: tuple[float, float], words: Sequence[Word]
    ) -> None:
        """Add a page of `size` points that shows what `picture` makes, and holds `words`."""
        self._try(lambda pdf: pdf.show(picture(), size, words))
        self._has_words = self._has_words or bool(words)

    def finish(self) -> tuple[Member, ...]:
        """The file, if there is one: only where words were added."""
        if self._has_words:
            self._try(lambda pdf: pdf.save(Path(TARGET)))
        made = self.is_wanted and self._has_words
        self._close()
        return (Member(name=TARGET, path=TARGET),) if made else ()

    def _try(self, step: Callable[["_Pdf"], None]) -> None:
        if not self.is_wanted:
            return
        try:
            if self._pdf is None:
                self._pdf = _Pdf(self._original, self._password)
            step(self._pdf)
        except _Refused as refusal:
            self._give_up(str(refusal))
        except (pypdfium2.PdfiumError, OSError, ValueError, MemoryError):
            self._give_up("it could not be written.")

    def _give_up(self, why: str) -> None:
        self.warnings.append(f"No searchable PDF was made: {why}")
        self.is_wanted = False
        self._close()

    def _close(self) -> None:
        if self._pdf is not None:
            self._pdf.close()
            self._pdf = None


class _Refused(Exception):
    """Why there is no searchable PDF, as the end of a sentence."""


class _Pdf:
    """The file that is being made."""

    def __init__(self, original: bytes | None, password: str) -> None:
        if original is None:
            self._pdf = pypdfium2.PdfDocument.new()
        else:
            self._pdf = pypdfium2.PdfDocument(original, password=password or None)
        if pdfium.FPDF_GetSecurityHandlerRevision(self._pdf) != -1:
            self._pdf.close()
            raise _Refused("the PDF is protected, and a copy would not be.")
        self._bytes = 0
        self._font = pdfium.FPDFText_LoadCidType2Font(
            self._pdf,
            *_buffer(font()),
            TO_UNICODE,
            *_buffer(CODE_TO_GLYPH),
        )
        if not self._font:
            raise pypdfium2.PdfiumError("The font for unseen text does not load.")

    def write(self, index: int, words: Sequence[Word]) -> None:
        page = self._pdf[index]
        self._add(page, words)
        page.close()

    def show(self, picture: Image.Image, size: tuple[float, float], words: Sequence[Word]) -> None:
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=JPEG_QUALITY)
        self._bytes += packed.tell()
        if self._bytes > MAX_PICTURE_BYTES:
            raise _Refused("its pictures would be too large.")
        image = pypdfium2.PdfImage.new(self._pdf)
        image.load_jpeg(packed, inline=True)
        image.set_matrix(pypdfium2.PdfMatrix().scale(*size))
        page = self._pdf.new_page(*size)
        page.insert_obj(image)
        self._add(page, words)
        page.close()

    def save(self, path: Path) -> None:
        self._pdf.save(path)

    def close(self) -> None:
        if self._font:
            pdfium.FPDFFont_Close(self._font)
        self._pdf.close()

    def _add(self, page: pypdfium2.PdfPage, words: Sequence[Word]) -> None:
        place = _Place(page)
        for word in words:
            if (matrix := place.matrix(word)) is not None:
                pdfium.FPDFPage_InsertObject(page, self._unseen(word.text, matrix))
        page.gen_content()

    def _unseen(self, words: str, matrix: tuple[float, ...]) -> pdfium.FPDF_PAGEOBJECT:
        # Narrow gaps are taken for none, where a blank does not say otherwise.
        units = _units(f"{words} " if words < WITHOUT_BLANKS else words)
        text = pdfium.FPDFPageObj_CreateTextObj(self._pdf, self._font, 1)
        pdfium.FPDFText_SetCharcodes(text, (ctypes.c_uint32 * len(units))(*units), len(units))
        pdfium.FPDFTextObj_SetTextRenderMode(text, pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)
        pdfium.FPDFPageObj_Transform(text, *matrix)
        return text


class _Place:
    """Where things seen on a page stand in its own coordinates: it may be turned and cropped."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        self._corner = self._of(page, 0, 0)
        right, below = self._of(page, UNITS, 0), self._of(page, 0, UNITS)
        self._across = _between(self._corner, right)
        self._down = _between(self._corner, below)

    def matrix(self, word: Word) -> tuple[float, ...] | None:
        """Of text 1 point high, to fill the word's box; None where there is nothing to see."""
        start = self._on_page(word.bottom_left)
        along = _between(start, self._on_page(word.bottom_right))
        up = _between(start, self._on_page(word.top_left))
        if not word.text or abs(along[0] * up[1] - along[1] * up[0]) < 0.01:
            return None
        length = GLYPH_WIDTH * len(_units(word.text))
        return along[0] / length, along[1] / length, *up, *start

    def _on_page(self, point: Point) -> Point:
        x, y = point
        return (
            self._corner[0] + x * self._across[0] + y * self._down[0],
            self._corner[1] + x * self._across[1] + y * self._down[1],
        )

    @staticmethod
    def _of(page: pypdfium2.PdfPage, x: int, y: int) -> Point:
        found = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDF_DeviceToPage(page, 0, 0, UNITS, UNITS, 0, x, y, *map(ctypes.byref, found))
        return found[0].value, found[1].value


@functools.cache
def font() -> bytes:
    """First called from a processor's constructor: later the file is out of reach."""
    return FONT.read_bytes()


def _between(one: Point, other: Point) -> Point:
    return other[0] - one[0], other[1] - one[1]


def _units(text: str) -> list[int]:
    return memoryview(text.encode("utf-16-le", "replace")).cast("H").tolist()


def _buffer(data: bytes) -> tuple[ctypes.Array[ctypes.c_ubyte], int]:
    return (ctypes.c_ubyte * len(data)).from_buffer_copy(data), len(data)
