"""Requests to addresses that somebody else named, without lending them our place in the network.

A name is resolved once, and the connection goes to an address that was looked at: a name that
answers otherwise the second time gains nothing. TLS is checked against the name. No redirect is
followed, no proxy of the environment asked, nothing unpacked. All of it together, from the name to
the end of what is read, takes no longer than it may.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx
from django.conf import settings

from apps.core.addresses import MAX_URL, is_open_port, may_be_reached, parse_networks

TRIED_ADDRESSES = 3
"""Of those that a name has; each is a try of its own within the one time."""


class Refused(Exception):
    """Nothing is sent there: not an address of the web, or one that strangers must not reach."""


class Unreached(Exception):
    """There was no answer; `reason` is `dns`, `connect`, `tls`, `timeout` or `protocol`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """What was answered; `head` are its first bytes, names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    head: bytes


def checked_url(text: str) -> httpx.URL:
    """`text` as an address to which something may be sent, as far as can be said without asking
    for its name. Raises Refused with a sentence."""
    if len(text) > MAX_URL:
        raise Refused(f"An address has at most {MAX_URL} characters.")
    try:
        url = httpx.URL(text)
        host = url.host  # which may hold what no name can: xn--a
    except (httpx.InvalidURL, ValueError, TypeError):
        raise Refused("That is no address.") from None
    if url.scheme not in ("http", "https") or not host or "%" in url.raw_host.decode():
        raise Refused("The address must begin with https:// or http:// and a name.")
    if url.userinfo:
        raise Refused("The address must have no name and password in it.")
    if url.port is not None and not is_open_port(url.port):
        raise Refused(f"Nothing is sent to port {url.port}: 80, 443, or one from 1024 up.")
    if _is_literal(host) and not may_be_reached(host, _allowed()):
        raise Refused(_told(host))
    return url


def send(
    method: str,
    text: str,
    *,
    headers: Mapping[str, str],
    content: bytes = b"",
    seconds: float,
    head_bytes: int,
) -> Answer:
    """Sends the request and reads the first `head_bytes` of the answer, all within `seconds`.

    An answer whose body does not come in time is one all the same. Raises Refused or Unreached.
    """
    url = checked_url(text)
    until = time.monotonic() + seconds
    sent = [("Host", url.netloc.decode()), *headers.items(), ("Content-Length", str(len(content)))]
    pool = httpcore.ConnectionPool(
        ssl_context=_tls(), max_connections=1, network_backend=_Guarded(until)
    )
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    try:
        with pool, pool.stream(method, target, headers=sent, content=content) as response:
            head = _head(response, head_bytes)
            named = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
            return Answer(response.status, named, head)
    except httpcore.TimeoutException:
        raise Unreached("timeout", f"No answer within {seconds:g} seconds.") from None
    except httpcore.ConnectError as error:
        is_tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
        raise Unreached("tls" if is_tls else "connect", _reason(error)) from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Unreached("protocol", _reason(error)) from None


def _head(response: httpcore.Response, limit: int) -> bytes:
    """What came of the body until the time was over, or enough of it."""
    found = b""
    with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for chunk in response.iter_stream():
            found += chunk
            if len(found) >= limit:
                break
    return found[:limit]


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


class _Guarded(httpcore.NetworkBackend):
    """Connects to addresses that may be reached, and to nothing else, until that moment."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        found = _resolved(host, port, _left(self._until))
        allowed = [each for each in found if may_be_reached(each, _allowed())]
        if not allowed:
            raise Refused(_told(host))
        return _Stream(self._connected(allowed[:TRIED_ADDRESSES], port), self._until)

    def _connected(self, addresses: list[str], port: int) -> httpcore.NetworkStream:
        """To the first that takes the connection, each within its share of the time."""
        failed: Exception = httpcore.ConnectError()
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = _left(self._until) / left
            try:
                return self._plain.connect_tcp(address, port, timeout=share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


class _Stream(httpcore.NetworkStream):
    """A connection that ends at that moment, however little comes at a time."""

    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self._inner = inner
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout=_left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=_left(self._until))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secure = self._inner.start_tls(
            ssl_context, server_hostname=server_hostname, timeout=_left(self._until)
        )
        return _Stream(secure, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(until: float) -> float:
    """Seconds that are left. Raises httpcore.ReadTimeout when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


def _resolved(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of `host`. Raises Unreached.

    In a thread that is left alone when it takes too long: the resolver knows no time of ours.
    """
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(each[4][0]) for each in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise Unreached("dns", f"No address was found for {host} in time.") from None
    if isinstance(answer, Exception):
        raise Unreached("dns", f"There is no address for {host}.")
    return answer


def _is_literal(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


def _told(host: str) -> str:
    return (
        f"{host} is in no public network, so nothing is sent there. Whoever runs this installation "
        "can allow a network: OUTGOING_ALLOWED_NETWORKS."
    )


def _allowed() -> Any:
    return parse_networks(settings.OUTGOING_ALLOWED_NETWORKS)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Checks certificates, also against those that SSL_CERT_FILE or SSL_CERT_DIR name."""
    return httpx.create_ssl_context()
