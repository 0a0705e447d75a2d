"""Whom a limit counts: a user, an API key, an organization, an address, an account, a session.

What stands in Redis for a person tells nothing of them: addresses, e-mail addresses and session
keys are hashed with a key that is derived from SECRET_KEY.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network
from uuid import UUID

from django.conf import settings

from apps.core.clients import IPV6_PREFIX, Address, parse_address

DIGEST_BYTES = 16


class Kind(StrEnum):
    """What a subject is; the value begins its key."""

    USER = "u"
    KEY = "k"
    ORGANIZATION = "o"
    ADDRESS = "a"
    ACCOUNT = "e"
    SESSION = "s"
    EVERYTHING = "all"

    @property
    def word(self) -> str:
        """As it is named in headers, in the admin and on the command line."""
        return _WORDS[self]


_WORDS = {kind: kind.name.lower() for kind in Kind}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a limit counts. `key` is what stands for them in the store.

    `ip` is an address itself, for rules over networks; it is never stored and never shown.
    """

    kind: Kind
    key: str
    ip: Address | None = field(default=None, compare=False, repr=False)

    @classmethod
    def user(cls, user_id: int) -> "Subject":
        return cls(Kind.USER, f"{Kind.USER}{user_id}")

    @classmethod
    def api_key(cls, key_id: UUID) -> "Subject":
        return cls(Kind.KEY, f"{Kind.KEY}{key_id.hex}")

    @classmethod
    def organization(cls, organization_id: UUID) -> "Subject":
        return cls(Kind.ORGANIZATION, f"{Kind.ORGANIZATION}{organization_id.hex}")

    @classmethod
    def address(cls, text: str) -> "Subject":
        """An IP address; of IPv6 its /64. Everything that is no address is one subject."""
        return _of_address(text, settings.SECRET_KEY)

    @classmethod
    def account(cls, email: str, device: str = "") -> "Subject":
        """The account of an e-mail address, in any case, whether it exists or not.

        A `device` that has signed in to it before is counted apart, so that a stranger who fails
        on purpose does not lock it out.
        """
        name = email.strip().lower()
        return cls(Kind.ACCOUNT, f"{Kind.ACCOUNT}{_hashed(f'{name} {device}')}")

    @classmethod
    def session(cls, session_key: str) -> "Subject":
        return cls(Kind.SESSION, f"{Kind.SESSION}{_hashed(session_key)}")


EVERYTHING = Subject(Kind.EVERYTHING, Kind.EVERYTHING.value)
"""All requests together."""


@lru_cache(maxsize=4096)
def _of_address(text: str, _secret: str) -> Subject:
    """Kept, for the same address asks again and again; the hash is another with another secret."""
    ip = parse_address(text)
    return Subject(Kind.ADDRESS, f"{Kind.ADDRESS}{_hashed(_network(ip))}", ip)


def _network(ip: Address | None) -> str:
    if isinstance(ip, IPv6Address):
        return str(IPv6Network((int(ip), IPV6_PREFIX), strict=False).network_address)
    return str(ip or "")


def _hashed(text: str) -> str:
    return blake2b(text.encode(), digest_size=DIGEST_BYTES, key=_hash_key()).hexdigest()


def _hash_key() -> bytes:
    return _derived(settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _derived(secret: str) -> bytes:
    return blake2b(secret.encode(), digest_size=32, person=b"docmill limits").digest()
