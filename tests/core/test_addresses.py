"""Which addresses strangers may have something sent to."""

import pytest

from apps.core.addresses import is_open_port, may_be_reached, parse_networks

pytestmark = pytest.mark.once

PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
OTHERS = [
    *("0.0.0.0", "10.0.0.1", "127.0.0.1", "127.8.8.8", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "255.255.255.255", "240.0.0.1", "224.0.0.1", "198.18.0.1", "192.0.2.1"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),  # metadata
    *("100.64.0.1", "100.127.255.255"),  # behind the NAT of a provider
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:1.1.1.1", "::127.0.0.1"),  # IPv4 in IPv6
    *("64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),  # NAT64
    *("2002:a00:1::", "2001::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1"),
    *("", "localhost", "1", "2130706433", "0x7f.1", "127.1", "1.1.1.1/32", "1.1.1.1 "),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert may_be_reached(address, ())


@pytest.mark.parametrize("address", OTHERS)
def test_no_other_address_may(address: str) -> None:
    assert not may_be_reached(address, ())


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("10.1.3.3", False),
        ("192.168.7.7", True),
        ("192.168.7.8", False),
        ("fd12::7", True),
        ("fd13::7", False),
        ("::ffff:10.1.2.3", False),
        ("1.1.1.1", True),
    ],
)
def test_named_networks_may_be_reached_as_well(address: str, is_allowed: bool) -> None:
    allowed = parse_networks(["10.1.2.0/24", " 192.168.7.7", "fd12::/16"])
    assert may_be_reached(address, allowed) is is_allowed


@pytest.mark.parametrize("text", ["", "office", "10.1.2.3/24", "10.0.0.0/33", "*"])
def test_what_is_no_network_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_networks([text])


@pytest.mark.parametrize(
    ("port", "is_open"),
    [(80, True), (443, True), (1024, True), (8443, True), (65535, True)]
    + [(port, False) for port in (0, 22, 25, 110, 1023, 65536)],
)
def test_ports(port: int, is_open: bool) -> None:
    assert is_open_port(port) is is_open
