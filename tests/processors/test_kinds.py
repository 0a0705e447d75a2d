import io
import zipfile
from pathlib import Path

import pytest

from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS, check_name, identify

pytestmark = pytest.mark.once

SAMPLES = Path(__file__).parents[2] / "samples"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x01" * 20
PDF = b"%PDF-1.7\n1 0 obj"
ELF = b"\x7fELF\x02\x01\x01" + b"\x00" * 40


def zipped(*names: str, content: bytes = b"<x/>") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


def compound_file(stream: str) -> bytes:
    """The header of an OLE2 file and its directory, which names one stream."""
    header = bytearray(bytes.fromhex("d0cf11e0a1b11ae1").ljust(512, b"\x00"))
    header[30:32] = (9).to_bytes(2, "little")
    header[48:52] = (3).to_bytes(4, "little")
    return bytes(header) + b"\x00" * 512 * 3 + stream.encode("utf-16-le").ljust(512, b"\x00")


DOCX = zipped("[Content_Types].xml", "word/document.xml")

TAKEN = [
    ("a.pdf", PDF, "pdf"),
    ("A.PDF", PDF, "pdf"),
    ("late header.pdf", b"\n" * 1000 + b"%PDF-1.4", "pdf"),
    ("a.docx", DOCX, "docx"),
    ("cut off.docx", DOCX[:60], "docx"),
    ("locked.docx", compound_file("EncryptedPackage"), "docx"),
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
    ("a.exe", b"MZ" + b"\x00" * 60, "document.unsupported"),
    ("a.xyz", b"plain", "document.unsupported"),
    ("no extension", b"plain", "document.unsupported"),
    (".pdf", PDF, "document.unsupported"),
    ("elf.pdf", ELF, "document.unsupported"),
    ("elf.txt", ELF, "document.unsupported"),
    ("dos.docx", b"MZ\x90\x00\x03" + b"\x00" * 60, "document.unsupported"),
    ("mach-o.png", bytes.fromhex("cffaedfe") + b"\x00" * 20, "document.unsupported"),
    ("java.jpg", bytes.fromhex("cafebabe") + b"\x00" * 20, "document.unsupported"),
    ("script.txt", b"#!/bin/sh\nrm -rf /", "document.unsupported"),
    ("marked script.csv", b"\xef\xbb\xbf#!/bin/sh\n", "document.unsupported"),
    ("zip.pdf", DOCX, "document.mislabelled"),
    ("pdf.docx", PDF, "document.mislabelled"),
    ("other zip.docx", zipped("mimetype", "content.xml"), "document.mislabelled"),
    ("old word.docx", compound_file("WordDocument"), "document.mislabelled"),
    ("pdf.txt", PDF, "document.mislabelled"),
    ("png.jpg", PNG, "document.mislabelled"),
    ("jpeg.png", JPEG, "document.mislabelled"),
    ("text.png", b"plain", "document.mislabelled"),
    ("png.txt", PNG, "document.mislabelled"),
    ("zip.csv", DOCX, "document.mislabelled"),
    ("noise.txt", bytes(range(256)) * 30, "document.mislabelled"),
    ("no headers.eml", b"Hello,\nthis is only text.", "document.mislabelled"),
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


def test_a_refusal_says_what_the_file_looks_like() -> None:
    with pytest.raises(BadDocument, match=r"says JPEG.*looks like PNG"):
        identify("a.jpg", io.BytesIO((SAMPLES / "survey.png").read_bytes()))


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

    for name, start in (("a.pdf", PDF), ("a.png", PNG), ("a.txt", b"plain "), ("a.docx", DOCX)):
        content = Watched(start + b"plain" * 1_000_000)
        identify(name, content)
        assert content.taken < 100_000
