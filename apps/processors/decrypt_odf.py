"""ODF documents that are protected by a password (OpenDocument 1.3 part 2, 3.4 and 4).

Of the two ways of LibreOffice the older: every part by itself, AES-256 in CBC mode, the key from
the password by PBKDF2. Pure: bytes and a password in, the bytes of a plain document out.
"""

import hashlib
import io
import zipfile
import zlib
from base64 import b64decode
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree

from apps.processors import archive
from apps.processors.errors import BadDocument
from apps.processors.package import Package

MANIFEST = "META-INF/manifest.xml"
EMPTY_MANIFEST = '<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
WHOLE = "encrypted-package"
CIPHER = "#aes256-cbc"
# By the ends of their names (4.8.3, 4.8.12): the digest, and over how many bytes it is made.
CHECKS: dict[str, tuple[str, int | None]] = {
    "#sha256-1k": ("sha256", 1024),
    "sha1/1k": ("sha1", 1024),
    "sha1": ("sha1", None),
}
START_HASHES = {"#sha256": "sha256", "sha1": "sha1"}
MAX_ROUNDS = 10_000_000
"""Of all parts together. LibreOffice writes 100,000 for each, which is 0.05 s."""
BLOCK_BYTES = 16
DAMAGED = "The protected file is damaged and cannot be opened."


@dataclass(frozen=True)
class Lock:
    """How one part is protected: its `manifest:encryption-data` (4.4)."""

    vector: bytes
    salt: bytes
    rounds: int
    key_bytes: int
    start_hash: str
    check: bytes
    check_hash: str
    checked_bytes: int | None


def opened(content: bytes, password: str) -> bytes:
    """`content` itself where nothing protects it.

    Raises BadDocument: document.encrypted without a password and for other ciphers, .password
    for a wrong one, .corrupt, and .bomb for what would unpack to too much.
    """
    if b"encryption-data" not in _manifest(content):
        return content
    if not password:
        raise encrypted()
    package = Package(content, DAMAGED)
    try:
        manifest = package.tree(MANIFEST)
        locks = {} if manifest is None else _locks(manifest)
        if WHOLE in package.names or locks is None:
            raise BadDocument(
                "document.encrypted", "The file is protected in a way that is not opened yet."
            )
        return _rebuilt(package, locks, password)
    except (etree.XMLSyntaxError, ValueError, zlib.error) as error:
        raise BadDocument("document.corrupt", DAMAGED) from error


def _manifest(content: bytes) -> bytes:
    """Nothing when none can be read: the reader of the document says what is wrong with it."""
    try:
        archive.inspect(io.BytesIO(content))
        with zipfile.ZipFile(io.BytesIO(content)) as parts, parts.open(MANIFEST) as manifest:
            return manifest.read(archive.SMALL_BYTES)
    except (archive.Unreadable, KeyError, *archive.DAMAGE):
        return b""


def encrypted() -> BadDocument:
    return BadDocument("document.encrypted", "The file is protected by a password.")


def wrong_password() -> BadDocument:
    return BadDocument("document.password", "The password does not open the file.")


def _locks(manifest: etree._Element) -> dict[str, Lock] | None:
    """By the names of the parts; None when one is closed in a way that is not known. Raises
    ValueError for what is no number or no base64."""
    locks = {}
    for entry in manifest.iter("{*}file-entry"):
        data = entry.find("{*}encryption-data")
        if data is None:
            continue
        # By local names: one namespace holds them all.
        said = {
            etree.QName(name).localname: str(value)
            for element in data.iter()
            for name, value in element.attrib.items()
            if not (element.tag.endswith("}start-key-generation") and name.endswith("}key-size"))
        }
        lock = _lock(said)
        if lock is None:
            return None
        locks[_attribute(entry, "full-path")] = lock
    if sum(lock.rounds for name, lock in locks.items() if name.endswith(".xml")) > MAX_ROUNDS:
        return None
    return locks


def _lock(said: dict[str, str]) -> Lock | None:
    checks = [check for name, check in CHECKS.items() if _ends(said, "checksum-type", name)]
    start = said.get("start-key-generation-name", "sha1")
    starts = [digest for name, digest in START_HASHES.items() if start.lower().endswith(name)]
    rounds, key_bytes = int(said.get("iteration-count", "0")), int(said.get("key-size", "16"))
    known = _ends(said, "algorithm-name", CIPHER) and _ends(said, "key-derivation-name", "pbkdf2")
    if not (known and checks and starts and key_bytes == 32 and 0 < rounds <= MAX_ROUNDS):
        return None
    return Lock(
        vector=b64decode(said.get("initialisation-vector", "")),
        salt=b64decode(said.get("salt", "")),
        rounds=rounds,
        key_bytes=key_bytes,
        start_hash=starts[0],
        check=b64decode(said.get("checksum", "")),
        check_hash=checks[0][0],
        checked_bytes=checks[0][1],
    )


def _ends(said: dict[str, str], name: str, end: str) -> bool:
    return said.get(name, "").lower().endswith(end)


def _attribute(element: etree._Element, name: str) -> str:
    return next((str(v) for key, v in element.attrib.items() if key.endswith(f"}}{name}")), "")


def _rebuilt(package: Package, locks: dict[str, Lock], password: str) -> bytes:
    """The XML parts in clear, stored as they are, for they are read but once; pictures, which
    nothing reads, stay behind with the time their keys would take."""
    out = io.BytesIO()
    left = archive.MAX_TOTAL_BYTES
    with zipfile.ZipFile(out, "w") as plain:
        plain.writestr("mimetype", package.part("mimetype"))
        plain.writestr(MANIFEST, EMPTY_MANIFEST)
        for name in sorted(package.names - {MANIFEST}):
            if not name.endswith(".xml"):
                continue
            part = package.part(name)
            if name in locks:
                part = _unpacked(_decrypted(part, locks[name], password), left)
            left -= len(part)
            plain.writestr(name, part)
    return out.getvalue()


def _decrypted(part: bytes, lock: Lock, password: str) -> bytes:
    start = hashlib.new(lock.start_hash, password.encode()).digest()
    key = hashlib.pbkdf2_hmac("sha1", start, lock.salt, lock.rounds, lock.key_bytes)
    cipher = Cipher(algorithms.AES(key), modes.CBC(lock.vector)).decryptor()
    packed = cipher.update(part) + cipher.finalize()
    # The last byte says how many were added to fill the last block (XML Encryption, 5.2).
    packed = packed[: -packed[-1]] if packed and packed[-1] <= BLOCK_BYTES else packed
    if hashlib.new(lock.check_hash, packed[: lock.checked_bytes]).digest() != lock.check:
        raise wrong_password()
    return packed


def _unpacked(packed: bytes, left: int) -> bytes:
    """Raises zlib.error, and BadDocument when more than `left` bytes come out."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    part = inflating.decompress(packed, left)
    if inflating.unconsumed_tail or _is_blown_up(len(part), len(packed)):
        raise BadDocument("document.bomb", "The file would unpack to far more than it should.")
    return part


def _is_blown_up(size: int, packed: int) -> bool:
    return size > archive.SMALL_BYTES and size > archive.MAX_RATIO * packed
