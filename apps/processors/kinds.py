"""Which files are taken, and what they are. Pure: a name and the first bytes in, a kind out.

Name and content must agree; the table below says when they do.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import puremagic

from apps.processors import archive, compound
from apps.processors.errors import BadDocument
from apps.processors.evidence import Compound, Evidence, Look, Starts, Written, Zipped
from apps.processors.signs import is_program

HEAD_BYTES = 8192
MAX_NAME = 200
OLE_START = compound.START


@dataclass(frozen=True)
class Kind:
    """A kind of document; `family` is pages, office, sheet, text, mail, image or archive.

    `shows` is what its content may show, any of it: then it is what its name says.
    """

    name: str
    extensions: tuple[str, ...]
    media_type: str
    family: str
    shows: tuple[Evidence, ...]


_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"
_PARTS = "[Content_Types].xml"  # every OOXML package has it (ECMA-376, part 2, 10.1.2.1)
_LOCKED = Compound("EncryptedPackage")  # [MS-OFFCRYPTO] 1.3.1: OOXML behind a password
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "pdf",
            (".pdf",),
            "application/pdf",
            "pages",
            (Starts(rb".{0,1019}%PDF-"),),  # ISO 32000-1, H.3 note 13: bytes before it are read
        ),
        Kind(
            "docx",
            (".docx",),
            f"{_OOXML}.wordprocessingml.document",
            "office",
            (Zipped((_PARTS, "word/")), _LOCKED),
        ),
        Kind(
            "pptx",
            (".pptx",),
            f"{_OOXML}.presentationml.presentation",
            "office",
            (Zipped((_PARTS, "ppt/")), _LOCKED),
        ),
        Kind("odt", (".odt",), f"{_ODF}.text", "office", (Zipped(mimetype=f"{_ODF}.text"),)),
        Kind(
            "odp",
            (".odp",),
            f"{_ODF}.presentation",
            "office",
            (Zipped(mimetype=f"{_ODF}.presentation"),),
        ),
        Kind("rtf", (".rtf",), "application/rtf", "office", (Starts(rb"\s*\{\\rtf"),)),
        Kind(
            "epub",
            (".epub",),
            "application/epub+zip",
            "office",
            (Zipped(mimetype="application/epub+zip"), Zipped(("META-INF/container.xml",))),
        ),
        Kind("doc", (".doc",), "application/msword", "office", (Compound("WordDocument"),)),
        Kind(
            "ppt",
            (".ppt",),
            "application/vnd.ms-powerpoint",
            "office",
            (Compound("PowerPoint Document"),),
        ),
        Kind(
            "xlsx",
            (".xlsx",),
            f"{_OOXML}.spreadsheetml.sheet",
            "sheet",
            (Zipped((_PARTS, "xl/workbook.xml")), _LOCKED),
        ),
        Kind(
            "xls",
            (".xls",),
            "application/vnd.ms-excel",
            "sheet",
            (Compound("Workbook"), Compound("Book")),
        ),
        Kind(
            "xlsb",
            (".xlsb",),
            "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
            "sheet",
            (Zipped((_PARTS, "xl/workbook.bin")), _LOCKED),
        ),
        Kind(
            "ods",
            (".ods",),
            f"{_ODF}.spreadsheet",
            "sheet",
            (Zipped(mimetype=f"{_ODF}.spreadsheet"),),
        ),
        Kind("html", (".html", ".htm", ".xhtml"), "text/html", "text", (Written("<[A-Za-z!/?]"),)),
        Kind("md", (".md", ".markdown"), "text/markdown", "text", (Written(),)),
        Kind("txt", (".txt", ".text", ".log"), "text/plain", "text", (Written(),)),
        Kind("csv", (".csv", ".tsv"), "text/csv", "text", (Written(),)),
        Kind(
            "json",
            (".json", ".jsonl", ".ndjson"),
            "application/json",
            "text",
            (Written(r'\A\s*([\[{"0-9-]|true|false|null)'),),
        ),
        Kind("xml", (".xml",), "application/xml", "text", (Written(r"\A\s*<"),)),
        Kind(
            "eml",
            (".eml",),
            "message/rfc822",
            "mail",
            (Written(r"\A\s*(From [^\n]*\n)?[!-9;-~]+[ \t]*:"),),  # RFC 5322, 2.2
        ),
        Kind(
            "msg",
            (".msg",),
            "application/vnd.ms-outlook",
            "mail",
            (Compound("__properties_version1.0"),),  # [MS-OXMSG] 2.4
        ),
        Kind("png", (".png",), "image/png", "image", (Starts(rb"\x89PNG\r\n\x1a\n"),)),
        Kind("jpeg", (".jpg", ".jpeg"), "image/jpeg", "image", (Starts(rb"\xff\xd8\xff"),)),
        Kind(
            "tiff",
            (".tif", ".tiff"),
            "image/tiff",
            "image",
            (Starts(rb"II[*+]\0|MM\0[*+]"),),  # with a plus: BigTIFF
        ),
        Kind("webp", (".webp",), "image/webp", "image", (Starts(rb"RIFF....WEBP"),)),
        Kind("gif", (".gif",), "image/gif", "image", (Starts(rb"GIF8[79]a"),)),
        Kind(
            "heic",
            (".heic", ".heif"),
            "image/heic",
            "image",
            (Starts(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)"),),  # ISO/IEC 23008-12, annex B
        ),
        Kind("zip", (".zip",), "application/zip", "archive", (Zipped(),)),  # and none of the above
    )
}
_BY_EXTENSION = {extension: kind for kind in KINDS.values() for extension in kind.extensions}
# How a text is named whose name says something else; what fits none is plain.
TYPICAL_TEXTS = (
    ("HTML", re.compile(r"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)),
    ("XML", re.compile(r"\s*<\?xml\b")),
    ("JSON", re.compile(r'\s*[\[{]\s*["\[{]')),
    ("plain text", re.compile("")),
)

# C0, C1, and what turns the direction of writing: "gnp.txt" after U+202E reads as "txt.png".
CONTROLS_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NOTHING_TO_SEE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Categories of Unicode whose characters leave no mark."""
# Letters and marks without a mark of their own: fillers, empty Braille, variation selectors.
BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


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
        look = Look(head, content)
        if not _agrees(kind, look):
            raise BadDocument("document.mislabelled", _disagreement(kind, look))
    finally:
        content.seek(0)
    return kind


def _extension(name: str) -> str:
    return name[len(_stem(name)) :].lower()


def _stem(name: str) -> str:
    """`name` without its extension; a dot at the start begins none."""
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def _agrees(kind: Kind, look: Look) -> bool:
    if not any(evidence.may_fit(look) for evidence in kind.shows):
        return False
    if kind.family == "archive":
        return _recognized(look) in (None, kind)
    if kind.family in ("office", "sheet") and look.is_zip:
        _check_encryption(look)
    return True


def _recognized(look: Look) -> Kind | None:
    """The first row of the table that fits, but for text, which may be anything."""
    # What else a container seems to start with is the start of something in it.
    telling = (Zipped, Compound) if look.is_zip or look.is_compound else (Starts,)
    return next(
        (
            kind
            for kind in KINDS.values()
            for evidence in kind.shows
            if isinstance(evidence, telling) and evidence.fits(look)
        ),
        None,
    )


def _check_encryption(look: Look) -> None:
    """Office programs have ways of their own to lock a file, and open none locked as a ZIP."""
    if any(map(archive.is_encrypted, look.members or ())):
        raise BadDocument(
            "document.encrypted",
            "The file is locked as a ZIP is. Unpack it with its password and send it again.",
        )


def _disagreement(kind: Kind, look: Look) -> str:
    expected = f"The name says {kind.name.upper()}, the content does not."
    seen = _seen(look)
    if seen and f".{seen.lower()}" not in kind.extensions:
        return f"{expected} It looks like {seen}."
    if kind.family in ("text", "mail") and not look.is_text:
        return f"{expected} It has bytes that are not text."
    return expected


def _seen(look: Look) -> str:
    """What the content looks like; "" when nobody knows."""
    if recognized := _recognized(look):
        return recognized.name.upper()
    if look.is_text:
        return next(name for name, pattern in TYPICAL_TEXTS if pattern.match(look.text))
    try:
        found = puremagic.from_string(look.head)
    except (puremagic.PureError, ValueError):
        return ""
    return str(found).lstrip(".").upper()


def _taken() -> str:
    return f"Taken are {_listed(sorted(kind.name.upper() for kind in KINDS.values()))}."


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"
