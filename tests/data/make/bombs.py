"""Files that are small and unpack to very much, or are nested very deep. Made when needed.

Each function takes the folder to write to and gives the path. `BOMBS` names the reason for which
each must be refused.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

MEGABYTE = 1 << 20
LAST_BLOCK = b"\x03\x00"  # of a DEFLATE stream, and empty (RFC 1951, 3.2.6)
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
BOOK = {
    "[Content_Types].xml": "<Types xmlns="
    '"http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
    f'PartName="/xl/workbook.xml" ContentType="{CONTENT}.sheet.main+xml"/><Override '
    f'PartName="/xl/worksheets/sheet1.xml" ContentType="{CONTENT}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r" '
    f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets><sheet name="A" '
    'sheetId="1" r:id="r"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r" '
    f'Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def zip_of_zeros(folder: Path, *, megabytes: int = 500) -> Path:
    """A ZIP whose one member is so many megabytes of zeros."""
    path = folder / "zeros.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros.txt", "w", force_zip64=True) as member,
    ):
        for _ in range(megabytes):
            member.write(bytes(MEGABYTE))
    return path


def pdf_with_stream(folder: Path, *, megabytes: int = 1024) -> Path:
    """A PDF whose one page's content inflates to so many megabytes of spaces, behind a word."""
    word, spaces = b"BT /F 12 Tf 72 700 Td (boom) Tj ET ", b" " * MEGABYTE
    packer = zlib.compressobj(1)
    start = packer.compress(word) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush equal data makes equal bytes: packed once, they are put in many times.
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    sum_of_all = zlib.adler32(word)
    for _ in range(megabytes):
        sum_of_all = zlib.adler32(spaces, sum_of_all)
    stream = start + block * megabytes + LAST_BLOCK + sum_of_all.to_bytes(4, "big")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources"
        b"<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    content, offsets = b"%PDF-1.7\n", []
    for number, item in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    path = folder / "stream.pdf"
    path.write_bytes(
        content
        + b"xref\n0 5\n0000000000 65535 f \n"
        + table
        + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(content)
    )
    return path


def png_of_side(folder: Path, *, pixels: int = 30_000) -> Path:
    """A white picture of one bit a pixel, so many pixels wide and high."""
    packer = zlib.compressobj(1)
    row = b"\x00" + b"\xff" * (pixels // 8)
    data = b"".join(packer.compress(row) for _ in range(pixels)) + packer.flush()
    header = struct.pack(">2L5B", pixels, pixels, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    path = folder / "wide.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )
    return path


def xlsx_of_rows(folder: Path, *, rows: int = 1_000_000) -> Path:
    """A workbook of so many equal rows of ten cells."""
    row = b"<row>" + b"<c><v>1</v></c>" * 10 + b"</row>"
    path = folder / "rows.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in BOOK.items():
            archive.writestr(name, content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{SHEET}"><sheetData>'.encode())
            for piece in _repeated(row, rows):
                sheet.write(piece)
            sheet.write(b"</sheetData></worksheet>")
    return path


def html_of_tags(folder: Path, *, tags: int = 100_000) -> Path:
    """A page whose one sentence stands within so many elements."""
    path = folder / "tags.html"
    path.write_bytes(b"<div>" * tags + b"At the very bottom of the well." + b"</div>" * tags)
    return path


def xml_of_tags(folder: Path, *, tags: int = 100_000) -> Path:
    """The same as XML."""
    path = folder / "tags.xml"
    path.write_bytes(b"<a>" * tags + b"At the very bottom of the well." + b"</a>" * tags)
    return path


def json_of_lists(folder: Path, *, lists: int = 100_000) -> Path:
    """The same as lists of JSON."""
    path = folder / "lists.json"
    path.write_bytes(b"[" * lists + b'"At the very bottom of the well."' + b"]" * lists)
    return path


def _repeated(piece: bytes, times: int) -> Iterator[bytes]:
    many = piece * 1000
    for _ in range(times // 1000):
        yield many
    yield piece * (times % 1000)


BOMBS: dict[Callable[[Path], Path], str] = {
    zip_of_zeros: "document.bomb",
    pdf_with_stream: "document.bomb",
    png_of_side: "document.bomb",
    xlsx_of_rows: "document.bomb",
    xml_of_tags: "document.unsafe",
}
