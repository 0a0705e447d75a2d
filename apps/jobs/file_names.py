"""Names that can be unpacked everywhere, of whatever somebody called their file."""

import re
import unicodedata

UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what turns text around, hides in it, or ends a line: a name must not look
like another."""
JOINER = "\u200d"
"""Makes one picture of several emoji, and is no harm."""
MAX_BYTES = 180
"""File systems take 255 bytes; a number goes before the name and an ending after it."""


def safe_name(name: str, otherwise: str = "file") -> str:
    """`name` as one part of a path, at most MAX_BYTES of UTF-8; `otherwise` where nothing is left.

    A name that Windows keeps for a device has to be told apart by what is put before it.
    """
    composed = unicodedata.normalize("NFC", name)
    seen = "".join(
        each for each in composed if each == JOINER or unicodedata.category(each) not in INVISIBLE
    )
    cut = UNSAFE.sub("_", seen).strip(". ").encode()[:MAX_BYTES].decode(errors="ignore")
    return cut.strip(". ") or otherwise
