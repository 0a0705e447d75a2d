"""Who is counted, from which address, and what is stored of them."""

import uuid
from typing import Any

import pytest
from django.test import RequestFactory

from apps.core.clients import client_address
from apps.ratelimits.subjects import Subject

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.9", " 203.0.113.9:4711 "),
        ("203.0.113.9", "::ffff:203.0.113.9"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8::1", "[2001:db8::2]:443"),
        ("fe80::1%eth0", "fe80::2"),
        ("unknown", ""),
    ],
)
def test_one_subject(one: str, other: str) -> None:
    assert Subject.address(one) == Subject.address(other)


def test_different_subjects() -> None:
    everybody = [
        Subject.address("203.0.113.9"),
        Subject.address("203.0.113.8"),
        Subject.address("2001:db8:1:2::1"),
        Subject.address("2001:db8:1:3::1"),
        Subject.account("alice@example.com"),
        Subject.account("alice@example.com", device="known"),
        Subject.session("203.0.113.9"),
        Subject.user(1),
        Subject.organization(uuid.UUID(int=1)),
        Subject.api_key(uuid.UUID(int=1)),
    ]
    assert len({each.key for each in everybody}) == len(everybody)


def test_an_account_has_any_case() -> None:
    assert Subject.account(" Alice@Example.com") == Subject.account("alice@example.com")


def test_keys_are_hashed_with_the_secret(settings: Any) -> None:
    mine = Subject.address("203.0.113.9")
    assert "203.0.113" not in mine.key
    assert "cb0071" not in mine.key  # the same in hexadecimal digits
    settings.SECRET_KEY = "another"
    assert Subject.address("203.0.113.9") != mine


PROXY, INNER, CLIENT = "10.0.0.2", "10.0.0.1", "203.0.113.9"


@pytest.mark.parametrize(
    ("trusted", "count", "remote", "forwarded", "address"),
    [
        # Nobody is trusted, whatever is sent.
        ([], 1, CLIENT, "198.51.100.1", CLIENT),
        # Not a proxy of ours.
        (["10.0.0.0/8"], 1, CLIENT, "198.51.100.1", CLIENT),
        (["10.0.0.0/8"], 1, PROXY, CLIENT, CLIENT),
        # What the client made up stands to the left.
        (["10.0.0.0/8"], 1, PROXY, f"198.51.100.1, {CLIENT}", CLIENT),
        (["10.0.0.0/8"], 5, PROXY, f"198.51.100.1, {CLIENT}", CLIENT),
        (["10.0.0.0/8"], 5, PROXY, f"10.1.1.1,{CLIENT}", CLIENT),
        # Two proxies, and one too few that are counted on.
        (["10.0.0.0/8"], 2, PROXY, f"198.51.100.1, {CLIENT}, {INNER}", CLIENT),
        (["10.0.0.0/8"], 1, PROXY, f"198.51.100.1, {CLIENT}, {INNER}", INNER),
        # Wherever it comes from: then the count alone protects.
        (["0.0.0.0/0"], 1, PROXY, f"198.51.100.1, {CLIENT}", CLIENT),
        (["unix"], 1, "", CLIENT, CLIENT),
        (["10.0.0.0/8"], 1, "", CLIENT, ""),
        (["10.0.0.0/8"], 1, PROXY, "garbage", PROXY),
        (["10.0.0.0/8"], 1, PROXY, "", PROXY),
        (["10.0.0.0/8"], 1, PROXY, f"{CLIENT}:4711", CLIENT),
        (["::1"], 1, "::1", "[2001:db8::5]:80", "2001:db8::5"),
    ],
)
def test_the_address_of_a_request(
    settings: Any, trusted: list[str], count: int, remote: str, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    settings.TRUSTED_PROXY_COUNT = count
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address
