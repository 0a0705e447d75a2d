import io
import zipfile
from pathlib import Path

import pytest

from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS, check_name, identify
from tests.processors.test_compound import compound_file

pytestmark = pytest.mark.once

SAMPLES = Path(__file__).parents[2] / "samples"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x01" * 20
PDF = b"%PDF-1.7\n1 0 obj"
ELF = b"\x7fELF\x02\x01\x01" + b"\x00" * 40


def zipped(
    *names: str,
    mimetype: str = "",
    content: bytes = b"<x/>",
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


UNTAKEN = "document.unsupported"
OTHER = "document.mislabelled"
ODF = "application/vnd.oasis.opendocument"
PARTS = "[Content_Types].xml"
DOCX = zipped(PARTS, "word/document.xml")
PPTX = zipped(PARTS, "ppt/presentation.xml")
XLSX = zipped(PARTS, "xl/workbook.xml")
XLSB = zipped(PARTS, "xl/workbook.bin")
ODT = zipped("content.xml", mimetype=f"{ODF}.text", method=zipfile.ZIP_STORED)
ODS = zipped("content.xml", mimetype=f"{ODF}.spreadsheet\n")
EPUB = zipped("META-INF/container.xml", mimetype="application/epub+zip")
ZIP = zipped("letters/first.txt", "second.txt")
RTF = rb"{\rtf1\ansi Hello}"
LOCKED = compound_file("EncryptionInfo", "EncryptedPackage")
OLD = compound_file("WordDocument")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\1" * 20

TAKEN = [
    ("a.pdf", PDF, "pdf"),
    ("A.PDF", PDF, "pdf"),
    ("late header.pdf", b"\n" * 1000 + b"%PDF-1.4", "pdf"),
    ("a.docx", DOCX, "docx"),
    ("cut off.docx", DOCX[:60], "docx"),
    ("locked.docx", LOCKED, "docx"),
    ("locked.pptx", LOCKED, "pptx"),
    ("locked.xlsx", LOCKED, "xlsx"),
    ("locked.xlsb", LOCKED, "xlsb"),
    ("a.pptx", PPTX, "pptx"),
    ("a.xlsx", XLSX, "xlsx"),
    ("a.xlsb", XLSB, "xlsb"),
    ("a.odt", ODT, "odt"),
    ("packed mimetype.ods", ODS, "ods"),
    ("a.odp", zipped(mimetype=f"{ODF}.presentation"), "odp"),
    ("a.epub", EPUB, "epub"),
    ("no mimetype.epub", zipped("META-INF/container.xml"), "epub"),
    ("a.zip", ZIP, "zip"),
    ("no members.zip", zipped(), "zip"),
    ("cut off.zip", ZIP[:60], "zip"),
    ("pdf within.zip", zipped("a.pdf", content=PDF, method=zipfile.ZIP_STORED), "zip"),
    ("a.rtf", RTF, "rtf"),
    ("a.doc", compound_file("\x01CompObj", "WordDocument", "1Table"), "doc"),
    ("a.ppt", compound_file("Pictures", "PowerPoint Document"), "ppt"),
    ("a.xls", compound_file("Workbook"), "xls"),
    ("excel 95.xls", compound_file("Book"), "xls"),
    ("a.msg", compound_file("__nameid_version1.0", "__properties_version1.0"), "msg"),
    ("directory in two places.doc", compound_file(*"abc", "WordDocument", filling=90), "doc"),
    ("cut off.doc", compound_file("WordDocument")[:700], "doc"),
    ("a.tiff", b"II*\0" + b"\1" * 20, "tiff"),
    ("big endian.tif", b"MM\0*" + b"\1" * 20, "tiff"),
    ("big.tif", b"II+\0" + b"\1" * 20, "tiff"),
    ("a.webp", b"RIFF\x24\0\0\0WEBPVP8 " + b"\1" * 20, "webp"),
    ("a.gif", b"GIF89a" + b"\0" * 20, "gif"),
    ("a.heic", HEIC, "heic"),
    ("a.heif", HEIC.replace(b"ftypheic", b"ftypmif1"), "heic"),
    ("a.md", b"no heading", "md"),
    ("a.json", b'\xef\xbb\xbf {"a": 1}', "json"),
    ("number.json", b"-12", "json"),
    ("lines.jsonl", b'{"a": 1}\n{"a": 2}', "json"),
    ("wide.json", '{"größe": 1}'.encode("utf-16"), "json"),
    ("a.xml", b"<?xml version='1.0'?><a/>", "xml"),
    ("wide.xml", "<a>ä</a>".encode("utf-16"), "xml"),
    ("late markup.html", b"Some words first, <b>then</b> more.", "html"),
    ("xml.txt", b"<?xml version='1.0'?><a/>", "txt"),
    ("a.png", PNG, "png"),
    ("a.jpg", JPEG, "jpeg"),
    ("a.jpeg", JPEG, "jpeg"),
    ("a.html", b"<!doctype html><p>x", "html"),
    ("a.htm", "<p>größer</p>".encode("cp1252"), "html"),
    ("a.txt", b"plain", "txt"),
    ("utf-8.txt", "Grüße — 你好".encode(), "txt"),
    ("marked.txt", "Grüße".encode("utf-8-sig"), "txt"),
    ("utf-16.txt", "Grüße".encode("utf-16"), "txt"),
    ("utf-16 without mark.txt", "A plain sentence, and more.".encode("utf-16-le"), "txt"),
    ("utf-16 big.txt", "A plain sentence, and more.".encode("utf-16-be"), "txt"),
    ("utf-32.txt", "Grüße".encode("utf-32"), "txt"),
    ("utf-32 without mark.txt", "A plain sentence.".encode("utf-32-be"), "txt"),
    ("chinese.txt", ("这是一个简单的句子。" * 20).encode("utf-16"), "txt"),
    ("cyrillic.txt", "Обычное предложение".encode("koi8-r"), "txt"),
    ("japanese.txt", "こんにちは".encode("iso2022_jp"), "txt"),
    ("shift-jis.csv", "名前,住所".encode("cp932"), "csv"),
    ("about pdf.txt", b"A file that starts with %PDF- is a PDF.", "txt"),
    ("MZ.txt", b"MZ was her monogram.", "txt"),
    ("a.csv", b"a;b\n1;2", "csv"),
    ("a.tsv", b"a\tb", "csv"),
    ("a.eml", b"From: a@example.com\n\nhello", "eml"),
    ("mbox.eml", b"From a@example.com Mon\nSubject: x\n\nhello", "eml"),
    ("two.dots.txt", b"plain", "txt"),
]

REFUSED = [
    ("empty.txt", b"", "document.empty"),
    ("a.exe", b"MZ" + b"\x00" * 60, UNTAKEN),
    ("a.xyz", b"plain", UNTAKEN),
    ("no extension", b"plain", UNTAKEN),
    (".pdf", PDF, UNTAKEN),
    ("elf.pdf", ELF, UNTAKEN),
    ("elf.txt", ELF, UNTAKEN),
    ("dos.docx", b"MZ\x90\x00\x03" + b"\x00" * 60, UNTAKEN),
    ("mach-o.png", bytes.fromhex("cffaedfe") + b"\x00" * 20, UNTAKEN),
    ("java.jpg", bytes.fromhex("cafebabe") + b"\x00" * 20, UNTAKEN),
    ("shortcut.txt", bytes.fromhex("4c0000000114020000000000c000000000000046"), UNTAKEN),
    ("package.zip", b"!<arch>\ndebian-binary   1", UNTAKEN),
    ("package.txt", bytes.fromhex("edabeedb0300"), UNTAKEN),
    ("a.bat", b"@echo off", UNTAKEN),
    ("a.ps1", b"Get-Item .", UNTAKEN),
    ("script.txt", b"#!/bin/sh\nrm -rf /", UNTAKEN),
    ("marked script.csv", b"\xef\xbb\xbf#!/bin/sh\n", UNTAKEN),
    ("zip.pdf", DOCX, OTHER),
    ("pdf.docx", PDF, OTHER),
    ("other zip.docx", zipped("mimetype", "content.xml"), OTHER),
    ("old word.docx", compound_file("WordDocument"), OTHER),
    ("locked.doc", LOCKED, OTHER),
    ("locked.odt", LOCKED, OTHER),
    ("workbook within.xls", compound_file("ObjectPool", inside="Workbook"), OTHER),
    ("mislabelled parts.docx", zipped("word/document.xml"), OTHER),
    ("markup.json", b"<html></html>", OTHER),
    ("words.xml", b"Hello", OTHER),
    ("words.html", b"Hello", OTHER),
    ("rtf.txt", RTF, OTHER),
    ("rtf.doc", RTF, OTHER),
    ("pdf.txt", PDF, OTHER),
    ("png.jpg", PNG, OTHER),
    ("jpeg.png", JPEG, OTHER),
    ("text.png", b"plain", OTHER),
    ("png.txt", PNG, OTHER),
    ("zip.csv", DOCX, OTHER),
    ("noise.txt", bytes(range(256)) * 30, OTHER),
    ("no headers.eml", b"Hello,\nthis is only text.", OTHER),
]


@pytest.mark.parametrize(("name", "content", "kind"), TAKEN, ids=[row[0] for row in TAKEN])
def test_name_and_content_agree(name: str, content: bytes, kind: str) -> None:
    stream = io.BytesIO(content)
    assert identify(name, stream).name == kind
    assert stream.tell() == 0


@pytest.mark.parametrize(("name", "content", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_and_why(name: str, content: bytes, code: str) -> None:
    with pytest.raises(BadDocument) as caught:
        identify(name, io.BytesIO(content))
    assert caught.value.code == code
    assert caught.value.detail.endswith(".")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_no_text(seed: int) -> None:
    import random

    noise = random.Random(seed).randbytes(4096)
    for name in ("a.txt", "a.csv", "a.html", "a.eml", "a.pdf", "a.docx", "a.png", "a.jpg"):
        with pytest.raises(BadDocument):
            identify(name, io.BytesIO(noise))


SEEN = [
    ("a.jpg", (SAMPLES / "survey.png").read_bytes(), "PNG"),
    ("a.zip", DOCX, "DOCX"),
    ("a.docx", ZIP, "ZIP"),
    ("a.docx", XLSX, "XLSX"),
    ("a.xlsx", XLSB, "XLSB"),
    ("a.odt", ODS, "ODS"),
    ("a.zip", EPUB, "EPUB"),
    ("a.doc", RTF, "RTF"),
    ("a.xls", compound_file("WordDocument", inside="Workbook"), "DOC"),
    ("a.png", HEIC, "HEIC"),
    ("a.xls", b"<html><table><tr><td>1</td></tr></table></html>", "HTML"),
    ("a.pdf", b"<?xml version='1.0'?>", "XML"),
    ("a.xlsx", b'[{"a": 1}]', "JSON"),
    ("a.xlsx", b"a;b\n1;2", "plain text"),
    ("a.txt", b"%PDF-1.7\n", "PDF"),
    ("a.pdf", b"OggS\0\2" + b"\0" * 60, "OGG"),
]


@pytest.mark.parametrize(("name", "content", "seen"), SEEN)
def test_a_refusal_says_what_the_file_looks_like(name: str, content: bytes, seen: str) -> None:
    with pytest.raises(BadDocument) as caught:
        identify(name, io.BytesIO(content))
    said = name.rpartition(".")[2].upper().replace("JPG", "JPEG")
    assert caught.value.detail == (
        f"The name says {said}, the content does not. It looks like {seen}."
    )


def encrypted(content: bytes) -> bytes:
    """As if ZipCrypto had been used on every member."""
    changed = bytearray(content)
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + flags] |= 1
            at = changed.find(signature, at + 1)
    return bytes(changed)


def test_an_encrypted_zip_is_taken_for_its_password_may_be_known() -> None:
    assert identify("a.zip", io.BytesIO(encrypted(ZIP))).name == "zip"


@pytest.mark.parametrize(("name", "content"), [("a.docx", DOCX), ("a.epub", EPUB)])
def test_an_office_file_locked_as_a_zip_opens_nowhere(name: str, content: bytes) -> None:
    with pytest.raises(BadDocument) as caught:
        identify(name, io.BytesIO(encrypted(content)))
    assert caught.value.code == "document.encrypted"


def test_a_refusal_does_not_contradict_itself() -> None:
    """A mail with a NUL still looks like a mail; what keeps it out is the NUL."""
    with pytest.raises(BadDocument) as caught:
        identify("a.eml", io.BytesIO(b"From: a@example.com\nSubject: x\n\nhel\x00lo"))
    assert caught.value.detail == (
        "The name says EML, the content does not. It has bytes that are not text."
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        ".",
        "..",
        "x" * 201,
        "a/b.pdf",
        "..\\b.pdf",
        "a\x00.pdf",
        "a\n.pdf",
        "a\x7f.pdf",
        "a\x9b.pdf",
        "a\u202egnp.pdf",
        "a\u202afdp.pdf",
        "a\u2066fdp.pdf",
        "a\u2069.pdf",
        "\u3164.pdf",
        "\u2800",
        "\u115f\u1160\uffa0.pdf",
        "\u200b\u200d\ufeff.pdf",
        "\u034f\ufe0f\u3000.pdf",
        " .pdf",
    ],
)
def test_names_that_are_no_plain_names(name: str) -> None:
    with pytest.raises(BadDocument) as caught:
        check_name(name)
    assert caught.value.code == "document.name"
    with pytest.raises(BadDocument, match=r"document\.name"):
        identify(name, io.BytesIO(PDF))


@pytest.mark.parametrize(
    "name",
    [
        "x" * 200,
        "Rechnung März.pdf",
        "请.pdf",
        "a..b.pdf",
        "-rf.txt",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf",
        "e\u0301.pdf",
        "\u200f\u05d0.pdf",
        "👩\u200d💻.pdf",
        "\ue000.pdf",
    ],
)
def test_names_that_are_fine(name: str) -> None:
    check_name(name)


def test_no_extension_belongs_to_two_kinds() -> None:
    extensions = [extension for kind in KINDS.values() for extension in kind.extensions]
    assert len(extensions) == len(set(extensions))


def test_only_the_beginning_is_read() -> None:
    class Watched(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            self.taken += len(piece)
            return piece

    starts = {"a.pdf": PDF, "a.png": PNG, "a.txt": b"plain ", "a.docx": DOCX, "a.doc": OLD}
    for name, start in starts.items():
        content = Watched(start + b"plain" * 1_000_000)
        identify(name, content)
        assert content.taken < 100_000
