"""What first bytes give away, whatever the name says: programs, text, and wide encodings. Pure."""

import codecs
import re

# Nothing of these is ever read as a document.
PROGRAM_STARTS = (
    b"\x7fELF",
    b"#!",
    *(bytes.fromhex(mark) for mark in ("feedface", "feedfacf", "cefaedfe", "cffaedfe")),  # Mach-O
    bytes.fromhex("cafebabe"),  # Java, and Mach-O for several processors
    b"\x00asm",
    b"dex\n0",  # Android
    bytes.fromhex("4c0000000114020000000000c000000000000046"),  # [MS-SHLLINK] 2.1: a shortcut
    b"!<arch>\n",  # a Debian package, or a library
    bytes.fromhex("edabeedb"),  # RPM
    b"MSCF\x00\x00\x00\x00",  # a Windows cabinet
    b"BC\xc0\xde",  # LLVM
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
MAX_CONTROL_SHARE = 0.01
# Kept out of the count: tab, line ends, form feed, escape (ISO 2022), end of file (DOS).
CONTROL_CHARACTERS = frozenset(range(32)) - {9, 10, 12, 13, 26, 27} | {127}

# Rare ideographs, Yi to Meetei, private use, and what pairs of ASCII punctuation come out as.
STRANGE = re.compile("[\u2100-\u2dff\u3400-\u4dbf\ua000-\uabff\ue000-\uf8ff\ufff0-\ufffc]")
MAX_STRANGE_SHARE = 0.02
PRINTABLE = bytes(range(0x20, 0x7F))
ASCII_SHARE = 0.85


def is_program(head: bytes) -> bool:
    """Whether the bytes start an executable of Linux, Windows, macOS, Java and the like, a
    package that installs some, or a script that says what runs it."""
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


def as_text(head: bytes) -> str:
    """The beginning of what `is_text`, good enough to look for ASCII in it."""
    encoding = wide_encoding(head) or "latin-1"
    return head.decode(encoding, errors="replace").removeprefix("\ufeff")


def wide_encoding(head: bytes) -> str:
    """UTF-8 with a mark, UTF-16 or UTF-32, by the mark or by where the NULs are; else ""."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if 0 not in head or is_mostly_ascii(head):
        return ""
    return next((encoding for encoding in UNMARKED_WIDE if _reads_well(head, encoding)), "")


def _reads_well(head: bytes, encoding: str) -> bool:
    """Whether it decodes, to letters that occur together: random pairs of bytes are all over
    Unicode, and meet characters that hardly any text has."""
    whole = head[: len(head) - len(head) % 4]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(whole)
    except UnicodeDecodeError:
        return False
    controls = sum(ord(letter) in CONTROL_CHARACTERS for letter in text)
    if controls > MAX_CONTROL_SHARE * len(text):
        return False
    blocks = len({ord(letter) >> 8 for letter in text})
    strange = len(STRANGE.findall(text))
    return blocks <= 4 + len(text) // 8 or strange <= MAX_STRANGE_SHARE * len(text)


def is_mostly_ascii(content: bytes) -> bool:
    """As letters of one byte are; in pairs they would come out as Chinese."""
    return len(content.translate(None, PRINTABLE)) < (1 - ASCII_SHARE) * len(content)
