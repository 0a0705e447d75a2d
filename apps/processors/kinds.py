"""Which files are taken, and what they are. Pure: a name and the first bytes in, a kind out.

Name and content must agree. Of a ZIP the directory is read as well, of anything else only the
beginning; damage further in is found by the processor.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import puremagic

from apps.processors import archive
from apps.processors.errors import BadDocument

HEAD_BYTES = 8192
MAX_NAME = 200
MAX_CONTROL_SHARE = 0.01


@dataclass(frozen=True)
class Kind:
    """A kind of document; `family` is pages, office, sheet, text, mail, image or archive."""

    name: str
    extensions: tuple[str, ...]
    media_type: str
    family: str


_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("pdf", (".pdf",), "application/pdf", "pages"),
        Kind("docx", (".docx",), f"{_OOXML}.wordprocessingml.document", "office"),
        Kind("pptx", (".pptx",), f"{_OOXML}.presentationml.presentation", "office"),
        Kind("odt", (".odt",), f"{_ODF}.text", "office"),
        Kind("odp", (".odp",), f"{_ODF}.presentation", "office"),
        Kind("rtf", (".rtf",), "application/rtf", "office"),
        Kind("epub", (".epub",), "application/epub+zip", "office"),
        Kind("doc", (".doc",), "application/msword", "office"),
        Kind("ppt", (".ppt",), "application/vnd.ms-powerpoint", "office"),
        Kind("xlsx", (".xlsx",), f"{_OOXML}.spreadsheetml.sheet", "sheet"),
        Kind("xls", (".xls",), "application/vnd.ms-excel", "sheet"),
        Kind(
            "xlsb",
            (".xlsb",),
            "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
            "sheet",
        ),
        Kind("ods", (".ods",), f"{_ODF}.spreadsheet", "sheet"),
        Kind("html", (".html", ".htm", ".xhtml"), "text/html", "text"),
        Kind("md", (".md", ".markdown"), "text/markdown", "text"),
        Kind("txt", (".txt", ".text", ".log"), "text/plain", "text"),
        Kind("csv", (".csv", ".tsv"), "text/csv", "text"),
        Kind("json", (".json", ".jsonl", ".ndjson"), "application/json", "text"),
        Kind("xml", (".xml",), "application/xml", "text"),
        Kind("eml", (".eml",), "message/rfc822", "mail"),
        Kind("msg", (".msg",), "application/vnd.ms-outlook", "mail"),
        Kind("png", (".png",), "image/png", "image"),
        Kind("jpeg", (".jpg", ".jpeg"), "image/jpeg", "image"),
        Kind("tiff", (".tif", ".tiff"), "image/tiff", "image"),
        Kind("webp", (".webp",), "image/webp", "image"),
        Kind("gif", (".gif",), "image/gif", "image"),
        Kind("heic", (".heic", ".heif"), "image/heic", "image"),
        Kind("zip", (".zip",), "application/zip", "archive"),
    )
}
_BY_EXTENSION = {extension: kind for kind in KINDS.values() for extension in kind.extensions}

PDF_HEADER_WITHIN = 1024  # ISO 32000-1, Annex H.3 note 13: readers accept bytes before it
ZIP_START = b"PK\x03\x04"
OLE_START = bytes.fromhex("d0cf11e0a1b11ae1")
SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}
PROGRAM_STARTS = (
    b"\x7fELF",
    b"#!",
    *(bytes.fromhex(mark) for mark in ("feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe")),
)
DOS_PROGRAM_START = b"MZ"
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
UNMARKED_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
# Kept out of the count: tab, line ends, form feed, escape (ISO 2022), end of file (DOS).
CONTROL_CHARACTERS = frozenset(range(32)) - {9, 10, 12, 13, 26, 27} | {127}
# C0, C1, and what turns the direction of writing: "gnp.txt" after U+202E reads as "txt.png".
CONTROLS_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NOTHING_TO_SEE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Categories of Unicode whose characters leave no mark."""
# Letters and marks without a mark of their own: fillers, empty Braille, variation selectors.
BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
MAIL_HEADER = re.compile(rb"\A\s*(From [^\n]*\n)?[!-9;-~]+[ \t]*:")  # RFC 5322, 2.2


def check_name(name: str) -> None:
    """Raises BadDocument "document.name" when `name` is not a plain file name."""
    if not has_visible(_stem(name)) or name in (".", ".."):
        raise BadDocument("document.name", "The file has no name.")
    if len(name) > MAX_NAME:
        raise BadDocument("document.name", f"The name is longer than {MAX_NAME} characters.")
    if "/" in name or "\\" in name:
        raise BadDocument("document.name", "The name contains a path.")
    if CONTROLS_IN_NAMES.search(name):
        raise BadDocument("document.name", "The name contains control characters.")


def has_visible(text: str) -> bool:
    """Whether anything of `text` can be seen."""
    return any(
        unicodedata.category(letter) not in NOTHING_TO_SEE for letter in BLANK_LETTERS.sub("", text)
    )


def identify(name: str, content: BinaryIO) -> Kind:
    """The kind of the file called `name`; `content` is seekable and left at its start.

    Raises BadDocument: document.name, .empty, .unsupported, .mislabelled, and .bomb, .unsafe or
    .encrypted for what a ZIP's directory gives away.
    """
    check_name(name)
    content.seek(0)
    head = content.read(HEAD_BYTES)
    if not head:
        raise BadDocument("document.empty", "The file is empty.")
    if is_program(head):
        raise BadDocument("document.unsupported", "Programs and scripts are not taken.")
    kind = _BY_EXTENSION.get(_extension(name))
    if kind is None:
        raise BadDocument("document.unsupported", f"This kind of file is not read. {_taken()}")
    try:
        if not _agrees(kind, head, content):
            raise BadDocument("document.mislabelled", _disagreement(kind, head))
    finally:
        content.seek(0)
    return kind


def is_program(head: bytes) -> bool:
    """Whether the bytes start an executable of Linux, Windows, macOS or Java, or a script."""
    bare = head.removeprefix(codecs.BOM_UTF8)
    if bare.startswith(PROGRAM_STARTS):
        return True
    return bare.startswith(DOS_PROGRAM_START) and not is_text(head)


def is_text(head: bytes) -> bool:
    """Whether the bytes can be text in some encoding, UTF-16 and UTF-32 among them."""
    encoding = wide_encoding(head)
    if encoding:
        return _reads_well(head, encoding)
    controls = sum(head.count(byte) for byte in CONTROL_CHARACTERS)
    return 0 not in head and controls <= MAX_CONTROL_SHARE * len(head)


def wide_encoding(head: bytes) -> str:
    """UTF-8 with a mark, UTF-16 or UTF-32, by the mark or by where the NULs are; else ""."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if 0 not in head:
        return ""
    return next((encoding for encoding in UNMARKED_WIDE if _reads_well(head, encoding)), "")


def _reads_well(head: bytes, encoding: str) -> bool:
    """Whether it decodes, to letters of few blocks: random pairs of bytes are all over Unicode."""
    whole = head[: len(head) - len(head) % 4]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(whole)
    except UnicodeDecodeError:
        return False
    controls = sum(ord(letter) in CONTROL_CHARACTERS for letter in text)
    blocks = len({ord(letter) >> 8 for letter in text})
    return controls <= MAX_CONTROL_SHARE * len(text) and blocks <= 4 + len(text) // 8


def _extension(name: str) -> str:
    return name[len(_stem(name)) :].lower()


def _stem(name: str) -> str:
    """`name` without its extension; a dot at the start begins none."""
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def _agrees(kind: Kind, head: bytes, content: BinaryIO) -> bool:
    if kind.name == "pdf":
        return b"%PDF-" in head[:PDF_HEADER_WITHIN]
    if kind.name == "docx":
        return _is_docx(head, content)
    if kind.family == "image":
        return head.startswith(SIGNATURES[kind.name])
    if head.lstrip().startswith(b"%PDF-") or not is_text(head):
        return False
    return kind.name != "eml" or MAIL_HEADER.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def _is_docx(head: bytes, content: BinaryIO) -> bool:
    if head.startswith(OLE_START):
        return _is_encrypted_office(head, content)
    if not head.startswith(ZIP_START):
        return False
    try:
        members = archive.inspect(content)
    except archive.Unreadable:
        return True  # cut off or damaged: the processor says so
    return any(member.filename.startswith("word/") for member in members)


def _is_encrypted_office(head: bytes, content: BinaryIO) -> bool:
    """[MS-OFFCRYPTO] 1.3.1: the document is the stream EncryptedPackage of a compound file.

    The directory's first sector is named at byte 48 of the header ([MS-CFB] 2.2).
    """
    sector_bytes = 1 << min(int.from_bytes(head[30:32], "little"), 12)
    content.seek((int.from_bytes(head[48:52], "little") + 1) * sector_bytes)
    return "EncryptedPackage".encode("utf-16-le") in content.read(4096)


def _disagreement(kind: Kind, head: bytes) -> str:
    expected = f"The name says {kind.name.upper()}, the content does not."
    seen = _seen(head)
    if seen and f".{seen.lower()}" not in kind.extensions:
        return f"{expected} It looks like {seen}."
    if kind.family == "text" and not is_text(head):
        return f"{expected} It has bytes that are not text."
    return expected


def _seen(head: bytes) -> str:
    """What puremagic takes the bytes for, as an extension; "" when it does not know."""
    try:
        found = puremagic.from_string(head)
    except (puremagic.PureError, ValueError):
        return ""
    return str(found).lstrip(".").upper()


def _taken() -> str:
    return f"Taken are {_listed(sorted(kind.name.upper() for kind in KINDS.values()))}."


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"
