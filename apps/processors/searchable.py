"""A PDF of scanned pages whose words can be searched and copied: the text lies unseen over the
pictures. By PDFium; nothing is started and nothing is fetched.
"""

import ctypes
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

FONT = Path(__file__).with_name("glyphless.ttf")
"""Tesseract's pdf.ttf (Apache-2.0): one empty glyph, half as wide as high."""
GLYPH_WIDTH = 0.5
JPEG_QUALITY = 75
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


@dataclass(frozen=True)
class Word:
    """A word and its box in the picture: pixels from the left and from the top."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


class SearchablePdf:
    """Pages are added, then it is saved. Raises PdfiumError when a page cannot be made."""

    def __init__(self) -> None:
        self._pdf = pypdfium2.PdfDocument.new()
        self._font = pdfium.FPDFText_LoadCidType2Font(
            self._pdf,
            *_buffer(FONT.read_bytes()),
            TO_UNICODE,
            *_buffer(CODE_TO_GLYPH),
        )
        if not self._font:
            raise pypdfium2.PdfiumError("The font for unseen text does not load.")

    def add(self, picture: Image.Image, words: Iterable[Word], dots_per_inch: int) -> None:
        """A page that shows `picture` and holds `words`."""
        point = 72 / dots_per_inch
        width, height = picture.width * point, picture.height * point
        page = self._pdf.new_page(width, height)
        page.insert_obj(self._shown(picture, width, height))
        for word in words:
            if word.text and word.right > word.left and word.bottom > word.top:
                pdfium.FPDFPage_InsertObject(page, self._unseen(word, height, point))
        page.gen_content()
        page.close()

    def save(self, path: Path) -> None:
        """Write the file and close it: nothing can be added any more."""
        pdfium.FPDFFont_Close(self._font)
        self._pdf.save(path)
        self._pdf.close()

    def _shown(self, picture: Image.Image, width: float, height: float) -> pypdfium2.PdfImage:
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=JPEG_QUALITY)
        image = pypdfium2.PdfImage.new(self._pdf)
        image.load_jpeg(packed, inline=True)
        image.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
        return image

    def _unseen(self, word: Word, height: float, point: float) -> pdfium.FPDF_PAGEOBJECT:
        units = memoryview(word.text.encode("utf-16-le", "replace")).cast("H").tolist()
        size = (word.bottom - word.top) * point
        text = pdfium.FPDFPageObj_CreateTextObj(self._pdf, self._font, size)
        pdfium.FPDFText_SetCharcodes(text, (ctypes.c_uint32 * len(units))(*units), len(units))
        pdfium.FPDFTextObj_SetTextRenderMode(text, pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)
        stretch = (word.right - word.left) * point / (size * GLYPH_WIDTH * len(units))
        left, bottom = word.left * point, height - word.bottom * point
        pdfium.FPDFPageObj_Transform(text, stretch, 0, 0, 1, left, bottom)
        return text


def _buffer(data: bytes) -> tuple[ctypes.Array[ctypes.c_ubyte], int]:
    return (ctypes.c_ubyte * len(data)).from_buffer_copy(data), len(data)
