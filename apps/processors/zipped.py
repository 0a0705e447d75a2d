"""ZIP archives: their members are documents of their own."""

import io
import itertools
import platform
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from apps.processors import archive
from apps.processors.decoding import decode
from apps.processors.errors import BadDocument
from apps.processors.outgoing import Target, too_large
from apps.processors.protocol import MAX_MEMBERS, Document, Extraction, Member, Report
from apps.processors.sandbox import WRITTEN_FILE_BYTES

UTF8_NAME_FLAG = 0x800
# What systems leave behind: macOS's other halves of files, views of folders, small pictures of
# pictures, and Office's marks of open files.
JUNK_FOLDER = "__macosx"
JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
JUNK_STARTS = ("._", "~$")
# The letters of code pages 437 and 850, in which Windows writes names in the West.
WESTERN_LETTERS = frozenset((*range(0x80, 0x9B), *range(0xA0, 0xA6), 0xE1))
PASSWORD_ENCODINGS = ("utf-8", "cp1252", "cp437")
"""Nobody settled on one: 7-Zip takes the first, WinZip the second, DOS took the third."""


class ZipProcessor:
    """Takes the members out, for them to be read on their own; has no text itself.

    Opens both kinds of encryption, ZipCrypto (1.4 MB/s) and WinZip's AES (170 MB/s). What cannot
    be taken out is named with a reason, and the others come.
    """

    name = "zip"
    version = f"zipfile {platform.python_version()}"
    operations = frozenset({"extract", "ocr"})
    accepts = frozenset({"zip"})

    def __init__(self) -> None:
        import pyzipper  # 0.13 s that the web process need not spend

        self._damage = (*archive.DAMAGE, pyzipper.BadZipFile, LookupError)
        self._with_password = pyzipper.AESZipFile
        self._version_with_password = f"pyzipper {version('pyzipper')}"
        # The cipher loads its own parts on first use.
        with self._with_password(io.BytesIO(), "w") as warm:
            warm.setpassword(b"ready")
            warm.setencryption(pyzipper.WZ_AES)
            warm.writestr("ready", b"ready")

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        password = document.options.password
        with document.path.open("rb") as content:
            locked = _is_locked(content)
            if locked and not password:
                raise BadDocument("document.encrypted", "The archive is protected by a password.")
            opener = self._with_password if locked else zipfile.ZipFile
            try:
                opened = opener(content)
            except self._damage as error:
                raise BadDocument("document.corrupt", "The archive is damaged.") from error
            with opened:
                members = Unpacking(opened, self._damage, _encoded(password), report).members()
        missing = sum(bool(member.code) for member in members)
        lost = f"{missing} of {len(members)} documents in it could not be taken out."
        return Extraction(
            pages=(),
            kind=document.kind,
            engine=self._version_with_password if locked else self.version,
            metadata={"members": str(len(members))},
            warnings=(lost,) if missing else (),
            quality="partial" if missing else "full",
            members=tuple(members),
        )


class Unpacking:
    """One archive, opened by zipfile or pyzipper, on its way into the working folder."""

    def __init__(
        self,
        opened: Any,
        damage: tuple[type[Exception], ...],
        passwords: Sequence[bytes],
        report: Report,
    ) -> None:
        self._opened = opened
        self._damage = damage
        self._passwords = passwords
        self._report = report
        self._done = self._total = 0

    def members(self) -> list[Member]:
        """Raises BadDocument: document.empty, .too_many_members, and .password when it opens no
        member that needs one; Unavailable when the disk is full."""
        infos = self._opened.infolist()
        wanted = [
            (info, name)
            for info, name in zip(infos, names(infos), strict=True)
            if not info.is_dir() and not is_junk(name)
        ]
        if not wanted:
            raise BadDocument("document.empty", "There is no document in the archive.")
        if len(wanted) > MAX_MEMBERS:
            raise BadDocument(
                "document.too_many_members",
                f"The archive holds {len(wanted)} documents; at most {MAX_MEMBERS} are taken.",
            )
        self._total = len(wanted)
        members = [self._member(info, name) for info, name in wanted]
        locked = [
            member.code
            for member, (info, _) in zip(members, wanted, strict=True)
            if archive.is_encrypted(info)
        ]
        if "document.password" in locked and all(locked):
            raise BadDocument("document.password", "The password does not open the archive.")
        self._report(self._total, self._total, "taken out")
        return members

    def _member(self, info: Any, name: str) -> Member:
        self._done += 1
        if info.file_size > WRITTEN_FILE_BYTES:
            return too_large(name)
        path = Path(str(self._done))
        try:
            self._unpack(info, path)
        except BadDocument as refusal:
            path.unlink(missing_ok=True)
            return Member(name, code=refusal.code, detail=refusal.detail)
        return Member(name, path=str(path))

    def _unpack(self, info: Any, path: Path) -> None:
        for password in self._passwords:
            self._opened.setpassword(password)
            try:
                with Target(path, self._tell) as target:
                    archive.unpack(self._opened, info, target, info.file_size, damage=self._damage)
            except RuntimeError:  # zipfile's word for a wrong password
                continue
            return
        raise BadDocument("document.password", "The password does not open it.")

    def _tell(self) -> None:
        self._report(self._done - 1, self._total, f"{self._done} of {self._total} taken out")


def _is_locked(content: Any) -> bool:
    """Whether any member needs a password. Raises BadDocument as the guard does."""
    try:
        return any(map(archive.is_encrypted, archive.inspect(content)))
    except archive.Unreadable as error:
        raise BadDocument("document.corrupt", "The archive is damaged.") from error


def _encoded(password: str) -> list[bytes]:
    """The bytes that the password may be."""
    found = (password.encode(encoding, errors="replace") for encoding in PASSWORD_ENCODINGS)
    return list(dict.fromkeys(found))


def names(infos: Sequence[Any]) -> list[str]:
    """What the members are called, "/" between folders.

    Only newer archives say that names are UTF-8; in the others all are taken together to guess,
    for one name alone is short.
    """
    unmarked = [info for info in infos if not info.flag_bits & UTF8_NAME_FLAG]
    raw = [info.orig_filename.encode("cp437") for info in unmarked]
    encoding = _encoding(b"\n".join(raw))
    found = {
        id(info): name.decode(encoding, errors="replace")
        for info, name in zip(unmarked, raw, strict=True)
    }
    return [found.get(id(info), info.filename).replace("\\", "/") for info in infos]


def _encoding(raw: bytes) -> str:
    """UTF-8 if it is; the West's if accented letters stand alone among others; or a guess."""
    pairs = itertools.pairwise(raw + b"\n")
    high = [(byte, following) for byte, following in pairs if byte >= 0x80]
    alone = all(byte in WESTERN_LETTERS and following < 0x80 for byte, following in high)
    return "cp437" if high and alone and len(high) * 4 < len(raw) else decode(raw)[1]


def is_junk(name: str) -> bool:
    """Whether the system left it there, and no person put it in."""
    *folders, last = name.lower().split("/")
    return JUNK_FOLDER in folders or last in JUNK_NAMES or last.startswith(JUNK_STARTS)
