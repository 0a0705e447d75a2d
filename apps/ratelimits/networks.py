"""Networks of addresses, as rules name them: pure."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from apps.core.clients import IPV6_PREFIX

Network = IPv4Network | IPv6Network


def parse_network(text: str) -> Network:
    """The network that `text` names: `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`.

    A single IPv6 address is its /64, which is what is counted. Raises ValueError with a sentence.
    """
    text = text.strip()
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address and no network{_meant(text)}.") from None
    if network.version == 4:
        return network
    mapped = network.network_address.ipv4_mapped
    if mapped and network.prefixlen >= 96:
        return IPv4Network((int(mapped), network.prefixlen - 96))
    if "/" not in text:
        return network.supernet(new_prefix=IPV6_PREFIX)
    if network.prefixlen > IPV6_PREFIX:
        raise ValueError(
            f"{network} is part of a /{IPV6_PREFIX}, and those are counted as one: "
            f"{network.supernet(new_prefix=IPV6_PREFIX)}."
        )
    return network


def _meant(text: str) -> str:
    """Where bits are set behind the prefix: what it was perhaps to be."""
    try:
        return f"; perhaps {ip_network(text, strict=False)}"
    except ValueError:
        return '; for example "203.0.113.7" or "203.0.113.0/24"'
