"""From which address a request comes, seen through the proxies that are trusted."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
UNIX = "unix"
IPV6_PREFIX = 64
"""Bits: the least that one customer gets. Whoever has a network has all its addresses."""


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
    """The address that a request comes from."""
    meta = request.META
    return address_behind(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""))


def address_behind(address: str, forwarded_for: str) -> str:
    """The address that a request comes from which came from `address`, with that header.

    X-Forwarded-For is read from the right, as long as who wrote the entry is in TRUSTED_PROXIES,
    and at most TRUSTED_PROXY_COUNT entries: whatever else is in it, a client may have made up.
    """
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


def customer(address: str) -> str:
    """Whose address it is, as far as can be told: an IPv6 address stands for its network."""
    ip = parse_address(address)
    if isinstance(ip, IPv6Address):
        return str(IPv6Network((int(ip), IPV6_PREFIX), strict=False))
    return address if ip is None else str(ip)


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
