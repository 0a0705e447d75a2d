"""Which addresses what we send out may reach: pure.

The sources are IANA's registries of special-purpose addresses, and what clouds answer their own
machines on.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 2000

PORTS = frozenset({80, 443})
FIRST_OPEN_PORT = 1024
"""Below it, other ports are those of mail, shells and the like, which can be made to do something
with what a stranger had sent to them."""

_REFUSED_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind the NAT of a provider; 100.100.100.200 is a cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's own services for its machines
        "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols; 192.0.0.192 is a cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All of IPv6 that is not global unicast is refused: loopback, link-local, private (fc00::/7, with
# fd00:ec2::254), multicast, what stands for an IPv4 address (::ffff:0:0/96) or leads to one through
# a NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocols; Teredo, which leads to an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which leads to an IPv4 address
        "3fff::/20",  # documentation
    )
)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks such as `10.1.2.0/24`, or single addresses. Raises ValueError."""
    return tuple(ip_network(text.strip()) for text in texts)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could mean the same machine by it."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _REFUSED_IPV6)


def may_be_reached(text: str, allowed: Sequence[Network]) -> bool:
    """Whether something may be sent to the address `text`: a public one, or one in `allowed`."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return is_public(address) or any(address in network for network in allowed)


def is_open_port(port: int) -> bool:
    """Whether something may be sent to the port of a machine that may be reached."""
    return port in PORTS or FIRST_OPEN_PORT <= port < 2**16
