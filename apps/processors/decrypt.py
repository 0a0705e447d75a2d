"""Office documents that are protected by a password, opened with it.

OOXML and the formats before it by msoffcrypto ([MS-OFFCRYPTO]), ODF by `decrypt_odf`. Pure: bytes
and a password in, the bytes of a plain document out.
"""

import io
from typing import Any

from apps.processors import decrypt_odf
from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS, OLE_START

ODF_KINDS = frozenset({"odt", "odp", "ods"})
OLD_KINDS = frozenset({"doc", "xls", "ppt"})
# What Excel tries by itself on a workbook that is locked but has no password to open
# ([MS-OFFCRYPTO] 2.4.2.3).
EXCEL_DEFAULT = "VelvetSweatshop"
# Rounds of hashing that turn a password into a key. Word uses 100,000 and allows 10,000,000
# ([MS-OFFCRYPTO] 2.3.4.10), which is ten seconds and more in Python; LibreOffice uses 100,000.
MAX_ROUNDS = 2_000_000
DAMAGED = "The protected file is damaged and cannot be opened."


class Decrypter:
    """Loads msoffcrypto and its ciphers (0.1 s) when constructed, not on import."""

    def __init__(self) -> None:
        import xml.dom.expatbuilder

        import msoffcrypto
        from cryptography.hazmat.backends import default_backend
        from msoffcrypto.exceptions import InvalidKeyError
        from msoffcrypto.format import doc97, ooxml, ppt97, xls97

        # What msoffcrypto and what it uses would import on first use.
        self._kept = (xml.dom.expatbuilder, default_backend(), doc97, ooxml, ppt97, xls97)
        self._msoffcrypto = msoffcrypto
        self._wrong_key = InvalidKeyError

    def opened(self, content: bytes, kind: str, password: str) -> bytes:
        """`content` itself where nothing protects it.

        Raises BadDocument: document.encrypted without a password, .password for a wrong one,
        .corrupt, and .bomb for what would unpack to too much.
        """
        if content.startswith(OLE_START):
            return self._opened_ole(content, kind, password)
        if kind in ODF_KINDS:
            return decrypt_odf.opened(content, password)
        return content

    def _opened_ole(self, content: bytes, kind: str, password: str) -> bytes:
        try:
            file = self._msoffcrypto.OfficeFile(io.BytesIO(content))
            if not file.is_encrypted():
                return content
        except Exception as error:  # it raises anything over a damaged container
            if kind in OLD_KINDS:
                return content  # their own reader tells what is wrong
            if not password:  # no other OOXML comes in such a container
                raise decrypt_odf.encrypted() from error
            raise BadDocument("document.corrupt", DAMAGED) from error
        # As msoffcrypto understands it: XML can write a number in many ways.
        if file.format == "ooxml" and file.info.get("spinValue", 0) > MAX_ROUNDS:
            raise BadDocument("document.corrupt", DAMAGED)
        default = EXCEL_DEFAULT if KINDS[kind].family == "sheet" else ""
        try:
            return self._unlocked(file, password or default)
        except BadDocument:
            if password:
                raise
            raise decrypt_odf.encrypted() from None

    def _unlocked(self, file: Any, password: str) -> bytes:
        if not password:
            raise decrypt_odf.encrypted()
        out = io.BytesIO()
        try:
            if file.format == "ooxml":
                file.load_key(password=password, verify_password=True)
            else:  # verified anyway
                file.load_key(password=password)
            file.decrypt(out)
        except self._wrong_key as error:
            raise decrypt_odf.wrong_password() from error
        except Exception as error:  # it raises anything over a damaged container
            raise BadDocument("document.corrupt", DAMAGED) from error
        return out.getvalue()
