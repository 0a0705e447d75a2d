"""Bytes to text, in whatever encoding they are."""

from charset_normalizer import from_bytes

from apps.processors.kinds import wide_encoding

PROBE_BYTES = 256 * 1024


def decode(content: bytes) -> tuple[str, str]:
    """The text, and the encoding it was taken for. Bytes that do not fit become U+FFFD.

    UTF-8, UTF-16 and UTF-32 are recognized without guessing; the rest is charset-normalizer's
    best guess over the beginning.
    """
    encoding = wide_encoding(content[:8192]) or _certain(content) or _guessed(content)
    return content.decode(encoding, errors="replace"), encoding


def _certain(content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "utf-8"


def _guessed(content: bytes) -> str:
    # It takes NUL for a sign of binary data; in text it is a stray byte.
    best = from_bytes(content[:PROBE_BYTES].replace(b"\x00", b"")).best()
    if best is None or "cp1252" in best.could_be_from_charset:
        return "cp1252"  # of several that fit equally, by far the most common
    return best.encoding
