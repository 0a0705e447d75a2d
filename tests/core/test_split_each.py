"""What one client may have at a time of the threads that answer pages."""

import asyncio
from typing import Any

import pytest
from pytest_django import Settings

from apps.core.clients import customer
from apps.core.split import Split
from tests.core.test_split import HERE, Client, Environ, Gate, echo, run, scope_of, stream

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("client", "forwarded", "is_kept_out"),
    [
        (HERE, b"", True),
        ("192.0.2.7", b"", False),
        (HERE, b"192.0.2.7", False),  # a proxy's, which is trusted
        ("192.0.2.7", HERE.encode(), False),
    ],
)
def test_one_client_cannot_keep_others_out(
    client: str, forwarded: bytes, *, is_kept_out: bool, settings: Settings
) -> None:
    """However slowly it sends or reads, and however much of it waits."""
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXY_COUNT = [f"{HERE}/32"], 1
    gate = Gate()

    def pages(environ: Environ, start_response: Any) -> list[bytes]:
        is_slow = environ["PATH_INFO"] == "/slow"
        return (gate if is_slow else echo)(environ, start_response)

    async def talk() -> None:
        split = Split(pages=pages, streams=stream, threads=3, each=2, waiting=4)
        slow = [asyncio.create_task(Client(split, scope_of("/slow")).ask()) for _ in range(6)]
        await asyncio.sleep(0.05)
        refused = await Client(split, scope_of("/slow")).ask()
        headers = [(b"x-forwarded-for", forwarded)] if forwarded else []
        another = Client(split, scope_of("/x", headers=headers, client=client))
        assert ((await another.ask()).status == 503) is is_kept_out
        gate.opened.set()
        assert [(await each).status for each in slow] == [200] * 6
        assert refused.status == 503
        assert not split._lines

    run(talk())


def test_the_addresses_of_a_network_are_one_client() -> None:
    assert customer("2001:db8::1") == customer("2001:db8::ffff:1") != customer("2001:db8:0:1::1")
    assert customer("::ffff:192.0.2.7") == customer("192.0.2.7") == "192.0.2.7"
    assert customer("") == ""
