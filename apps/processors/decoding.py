"""Bytes to text, in whatever encoding they are."""

import re

from charset_normalizer import from_bytes

from apps.processors.signs import is_mostly_ascii, wide_encoding

PROBE_BYTES = 256 * 1024
PROBE_BEFORE = 1000
"""So much of what is plain ASCII is looked at with it."""
ISO_2022 = (
    (re.compile(rb"\x1b\$[@B]|\x1b\(J"), "iso2022_jp_2"),
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
)
# Letters with marks stand among plain ones in the West, hardly ever three together; other scripts,
# and encodings of two bytes, come in runs.
HIGH = re.compile(rb"[\x80-\xff]+")
AMONG_PLAIN = re.compile(
    rb"(?<=[A-Za-z])[\x80-\xff]{1,2}(?![\x80-\xff])|(?<![\x80-\xff])[\x80-\xff]{1,2}(?=[a-z])"
)
AMONG_PLAIN_SHARE = 0.5
FEW = 2
MIN_WIDE_BYTES = 32
"""Any few bytes are letters in UTF-16."""
# So come out short texts in Cyrillic and Thai letters; nobody writes much in them any more.
HALF_WIDTH = re.compile("[\uff61-\uff9f]")
HALF_WIDTH_SHARE = 0.3
JAPANESE = ["cp932", "shift_jis", "shift_jis_2004", "shift_jisx0213"]
LEAD = 0.1
"""By so much another encoding must fit better than cp1252, by far the most common."""
_QUOTES = "“”„\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{EN DASH}—…€°"
_WESTERN = "äöüßéèêëàâçîïôùûœæøåñáíóúãõìòÄÖÜÉÈÊÀÂÇÎÔŒÆØÅÑÁÍÓÚÃÕ¿¡£ªº«»" + _QUOTES
_CENTRAL = "ąćęłńóśźżáčďéěíňřšťúůýžőűöüĺľŕôäâăîşţĄĆĘŁŃÓŚŹŻÁČĎÉĚÍŇŘŠŤÚŮÝŽŐŰÖÜ" + _QUOTES
_TURKISH = "ğışçöüâîûĞİŞÇÖÜ" + _QUOTES
LATIN = (
    ("cp1252", frozenset(_WESTERN)),
    ("cp1250", frozenset(_CENTRAL)),
    ("iso8859_2", frozenset(_CENTRAL)),
    ("cp1254", frozenset(_TURKISH)),
    ("mac_roman", frozenset(_WESTERN)),
    ("cp850", frozenset(_WESTERN)),
    ("cp852", frozenset(_CENTRAL)),
    ("mac_latin2", frozenset(_CENTRAL)),
)
ALPHABETS_OF_EUROPE = frozenset(encoding for encoding, _ in LATIN)
ONLY_WESTERN = re.compile("[èàçñåêãøæßùïœ¿¡]")


def decode(content: bytes) -> tuple[str, str]:
    """The text, and the encoding it was taken for. Bytes that do not fit become U+FFFD.

    UTF-8, UTF-16, UTF-32 and ISO 2022 are recognized without guessing; of the rest the alphabets
    of Europe by which letters come out, and others by charset-normalizer, both over 256 KB from
    about where letters begin that are not ASCII.
    """
    encoding = certain_encoding(content) or _guessed(content)
    return content.decode(encoding, errors="replace"), encoding


def certain_encoding(content: bytes) -> str:
    """The encoding if it needs no guessing, else "". Plain ASCII is UTF-8."""
    wide = wide_encoding(content[:8192])
    if wide:
        return wide
    for escape, encoding in ISO_2022:
        if escape.search(content) and _decodes(content, encoding):
            return encoding
    return "utf-8" if _decodes(content, "utf-8") else ""


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _guessed(content: bytes) -> str:
    first = HIGH.search(content)
    start = max(0, first.start() - PROBE_BEFORE) if first else 0
    # charset-normalizer takes NUL for a sign of binary data; in text it is a stray byte.
    sample = content[start : start + PROBE_BYTES].replace(b"\x00", b"")
    best = from_bytes(sample).best()
    if best and len(HALF_WIDTH.findall(str(best))) > HALF_WIDTH_SHARE * len(str(best)):
        best = from_bytes(sample, cp_exclusion=JAPANESE).best()
    guess = best.encoding if best else "cp1252"
    high, among_plain = b"".join(HIGH.findall(sample)), b"".join(AMONG_PLAIN.findall(sample))
    is_wide = (
        guess.startswith("utf_") and len(sample) >= MIN_WIDE_BYTES and not is_mostly_ascii(sample)
    )
    is_latin = len(among_plain) >= AMONG_PLAIN_SHARE * len(high) or len(high) <= FEW
    if is_latin and not is_wide:
        return _latin(sample, high, guess)
    if best is not None and "cp1252" in best.could_be_from_charset:
        return "cp1252"  # of several that fit equally, by far the most common
    return guess


def _latin(sample: bytes, high: bytes, guess: str) -> str:
    """Of the encodings of Europe the one by which most letters with marks are such as its
    languages have."""
    fits = {encoding: _fit(high, encoding, letters) for encoding, letters in LATIN}
    best = max(fits, key=lambda encoding: fits[encoding])
    if fits[best] > fits["cp1252"] + LEAD:
        return best
    western, other = (sample.decode(name, errors="replace") for name in ("cp1252", guess))
    # Hungarian, for one, has hardly a letter that is not one of the West in cp1252.
    if fits.get(guess, 0) < fits[best] or western == other or ONLY_WESTERN.search(western):
        return "cp1252"
    return guess


def _fit(high: bytes, encoding: str, letters: frozenset[str]) -> float:
    text = high.decode(encoding, errors="replace")
    return sum(letter in letters for letter in text) / max(1, len(text))
