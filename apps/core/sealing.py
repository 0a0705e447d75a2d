"""Short secrets that have to be stored: encrypted with a key that is derived from SECRET_KEY.

Whoever has the database alone cannot read them. With another SECRET_KEY they are lost, which
`unseal` says; keys in SECRET_KEY_FALLBACKS still open what was sealed with them.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unsealable(Exception):
    """Sealed with a key that is not known here, or damaged."""


def seal(secret: str, *, purpose: str) -> str:
    """`secret` encrypted; it opens for the same `purpose` only."""
    return _box(purpose).encrypt(secret.encode()).decode()


def unseal(sealed: str, *, purpose: str) -> str:
    """The inverse of `seal`. Raises Unsealable."""
    try:
        return _box(purpose).decrypt(sealed).decode()
    except InvalidToken as error:
        raise Unsealable from error


def fingerprint(secret: str) -> str:
    """Which secret key this is, without telling it."""
    return _key(secret, "fingerprint").hex()[:16]


def without(secret: str, text: str) -> str:
    """`text` with stars for `secret`, also where it is written as Python quotes it; "" is none."""
    if not secret:
        return text
    return text.replace(secret, "***").replace(repr(secret)[1:-1], "***")


def _box(purpose: str) -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(secret, purpose)) for secret in secrets])


def _key(secret: str, purpose: str) -> bytes:
    """RFC 5869; the secret is long and random, so nothing slow is needed."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"docmill {purpose}".encode())
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
