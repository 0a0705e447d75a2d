"""Ed25519 keys and the checkpoints that they sign (RFC 8032).

A checkpoint says which hash the entry with some number of an audit log had at some time. What is
signed is a line that names the format, and then its canonical JSON. So anybody who has the public
key can prove it without Docmill.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from apps.audit.chain import canonical

FORMAT = "docmill-audit-checkpoint-1"
KEY_BYTES = 32


class BadKey(ValueError):
    """A text that is no Ed25519 key."""


class BadCheckpoint(ValueError):
    """A line that is no checkpoint."""


@dataclass(frozen=True)
class Statement:
    """That the audit log `chain` ended at the entry `number` with `hash`, at the time `at` (ISO
    8601, UTC), says who has the private key of `key`, which is the public one's fingerprint."""

    chain: str
    number: int
    hash: str
    at: str
    key: str

    def message(self) -> bytes:
        """What is signed."""
        return f"{FORMAT}\n{canonical(asdict(self))}".encode()


@dataclass(frozen=True)
class Signed:
    """A statement with its signature, in base64."""

    statement: Statement
    signature: str

    def line(self) -> str:
        """As it is kept outside the database: one line of JSON."""
        return canonical({**asdict(self.statement), "signature": self.signature})


def private_key(text: str) -> Ed25519PrivateKey:
    """The key that `text` is: 32 bytes in base64, or PEM. Raises BadKey."""
    if "-----BEGIN" in text:
        try:
            key = load_pem_private_key(_lines(text), password=None)
        except (ValueError, TypeError) as error:
            raise BadKey("The PEM text is no private key without a password.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey("The PEM text is a key, but not one for Ed25519.")
        return key
    return Ed25519PrivateKey.from_private_bytes(_raw(text))


def public_key(text: str) -> Ed25519PublicKey:
    """The key that `text` is: 32 bytes in base64, or PEM. Raises BadKey."""
    if "-----BEGIN" in text:
        try:
            key = load_pem_public_key(_lines(text))
        except ValueError as error:
            raise BadKey("The PEM text is no public key.") from error
        if not isinstance(key, Ed25519PublicKey):
            raise BadKey("The PEM text is a key, but not one for Ed25519.")
        return key
    return Ed25519PublicKey.from_public_bytes(_raw(text))


def printed(key: Ed25519PublicKey) -> str:
    """The key as people hand it on: 32 bytes in base64."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """By which a checkpoint names its key: the start of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(key: Ed25519PrivateKey, statement: Statement) -> Signed:
    signature = key.sign(statement.message())
    return Signed(statement, base64.b64encode(signature).decode())


def is_signed(signed: Signed, trusted: dict[str, Ed25519PublicKey]) -> bool:
    """Whether one of the `trusted` keys, by fingerprint, signed it."""
    key = trusted.get(signed.statement.key)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(signed.signature, validate=True), signed.statement.message())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def parse(line: str) -> Signed:
    """The checkpoint that `line` is. Raises BadCheckpoint. Its signature is not looked at."""
    try:
        told: dict[str, Any] = json.loads(line)
        signature = told.pop("signature")
        statement = Statement(**told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint("It is no checkpoint of an audit log.") from error
    texts = (statement.chain, statement.hash, statement.at, statement.key, signature)
    if type(statement.number) is not int or not all(isinstance(text, str) for text in texts):
        raise BadCheckpoint("It is no checkpoint of an audit log.")
    return Signed(statement, signature)


def _raw(text: str) -> bytes:
    """Base64 of either alphabet, with or without its padding."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKey("The key is not base64.") from error
    if len(raw) != KEY_BYTES:
        raise BadKey(f"An Ed25519 key has {KEY_BYTES} bytes; this has {len(raw)}.")
    return raw


def _lines(text: str) -> bytes:
    # Variables of the environment hold one line; there the lines are divided by "\n" in letters.
    return text.replace("\\n", "\n").strip().encode()
