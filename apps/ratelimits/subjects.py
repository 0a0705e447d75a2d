"""Whom a limit counts: a user, an API key, an organization, an address, an account, a session.

What stands in Redis for a person tells nothing of them: addresses, e-mail addresses and session
keys are hashed with a key that is derived from SECRET_KEY.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
IPV6_PREFIX = 64
"""Bits: the least that one customer gets. Whoever has a network has all its addresses."""
DIGEST_BYTES = 16
UNIX = "unix"


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


def parse_address(text: str) -> Address | None:
    """`text` as an address, without port, brackets and zone; None where it is none.

    An IPv4 address that is written as IPv6 is IPv4.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def client_address(request: HttpRequest) -> str:
    """The address that a request comes from.

    X-Forwarded-For is read from the right, as long as who wrote the entry is in TRUSTED_PROXIES,
    and at most TRUSTED_PROXY_COUNT entries: whatever else is in it, a client may have made up.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR")
    if not forwarded_for:
        return address
    entries = forwarded_for.split(",")
    for _ in range(settings.TRUSTED_PROXY_COUNT):
        if not entries or not _is_trusted(address):
            break
        forwarded = parse_address(entries.pop())
        if forwarded is None:
            break
        address = str(forwarded)
    return address


def trusted_networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks that `texts` name, but for `unix`: a proxy that comes through a unix socket has
    no address. Raises ValueError."""
    return tuple(ip_network(text) for text in texts if text != UNIX)


def _is_trusted(address: str) -> bool:
    trusted = tuple(settings.TRUSTED_PROXIES)
    if not address:
        return UNIX in trusted
    ip = parse_address(address)
    return ip is not None and any(ip in network for network in _networks(trusted))


_networks = lru_cache(maxsize=4)(trusted_networks)


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
