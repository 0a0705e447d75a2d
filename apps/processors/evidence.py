"""What a file's content must show to be what its name says. `kinds` has the table of it.

Of a ZIP and of a compound file the directory is read, of anything else only the beginning; damage
further in is found by the processor.
"""

import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import BinaryIO, ClassVar

from apps.processors import archive, compound
from apps.processors.errors import BadDocument
from apps.processors.signs import as_text, is_text

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # the second: without members
MIMETYPE = "mimetype"
MAX_MIMETYPE_BYTES = 200


class Look:
    """One look at a file: its beginning, and what of it is asked for on demand."""

    def __init__(self, head: bytes, content: BinaryIO) -> None:
        self.head = head
        self._content = content

    @property
    def is_zip(self) -> bool:
        return self.head.startswith(ZIP_STARTS)

    @property
    def is_compound(self) -> bool:
        return self.head.startswith(compound.START)

    @cached_property
    def members(self) -> list[zipfile.ZipInfo] | None:
        """None when damaged. Raises BadDocument as `archive.inspect` does."""
        try:
            return archive.inspect(self._content)
        except archive.Unreadable:
            return None

    @cached_property
    def names(self) -> frozenset[str]:
        """Of the members of a ZIP, in lower case, with "/" between folders."""
        return frozenset(
            member.filename.replace("\\", "/").lower() for member in self.members or ()
        )

    @cached_property
    def mimetype(self) -> str:
        """What ODF and EPUB say in the member of this name (OpenDocument 1.3, part 2, 3.3)."""
        for member in self.members or ():
            if member.filename == MIMETYPE and member.file_size <= MAX_MIMETYPE_BYTES:
                said = BytesIO()
                try:
                    with zipfile.ZipFile(self._content) as opened:
                        archive.unpack(opened, member, said, MAX_MIMETYPE_BYTES)
                except (BadDocument, RuntimeError):  # damaged, or encrypted
                    return ""
                return said.getvalue().decode("ascii", errors="replace").strip()
        return ""

    @cached_property
    def streams(self) -> frozenset[str] | None:
        """None when damaged."""
        try:
            return compound.top_names(self._content)
        except compound.Unreadable:
            return None

    @cached_property
    def is_text(self) -> bool:
        return is_text(self.head)

    @cached_property
    def text(self) -> str:
        return as_text(self.head)


@dataclass(frozen=True)
class Starts:
    """The file starts so: a regular expression over the first bytes."""

    pattern: bytes

    def fits(self, look: Look) -> bool:
        return re.match(self.pattern, look.head, re.DOTALL) is not None

    def may_fit(self, look: Look) -> bool:
        return self.fits(look)


@dataclass(frozen=True)
class Zipped:
    """A ZIP with these members, or with folders when "/" ends them, and with that `mimetype`."""

    members: tuple[str, ...] = ()
    mimetype: str = ""

    def fits(self, look: Look) -> bool:
        return (
            look.is_zip
            and look.members is not None
            and all(self._has(look, wanted.lower()) for wanted in self.members)
            and self.mimetype in ("", look.mimetype)
        )

    def may_fit(self, look: Look) -> bool:
        """True of one cut off or damaged as well: the processor will say so."""
        return look.is_zip and (look.members is None or self.fits(look))

    @staticmethod
    def _has(look: Look, wanted: str) -> bool:
        if wanted.endswith("/"):
            return any(name.startswith(wanted) for name in look.names)
        return wanted in look.names


@dataclass(frozen=True)
class Compound:
    """An OLE compound file with a stream or storage of this name at its top."""

    stream: str

    def fits(self, look: Look) -> bool:
        return look.is_compound and self.stream in (look.streams or ())

    def may_fit(self, look: Look) -> bool:
        return look.is_compound and (look.streams is None or self.fits(look))


@dataclass(frozen=True)
class Written:
    """Text in any encoding, in which this can be found, and which is no document of another kind
    that is written in letters too."""

    pattern: str = ""

    OTHERS: ClassVar = re.compile(r"\s*(%PDF-|\{\\rtf)")

    def fits(self, look: Look) -> bool:
        return (
            look.is_text
            and not self.OTHERS.match(look.text)
            and re.search(self.pattern, look.text) is not None
        )

    def may_fit(self, look: Look) -> bool:
        return self.fits(look)


Evidence = Starts | Zipped | Compound | Written
