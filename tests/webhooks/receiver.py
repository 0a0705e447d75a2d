"""A receiver of webhooks on this machine: answers as it is told and keeps what it was sent."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Sent:
    """One request; names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answers` are the next ones, 204 after them: a status, with headers, or what is to be done
    with the connection."""

    port: int = 0
    sent: list[Sent] = field(default_factory=list)
    answers: list[int | tuple[int, dict[str, str]] | Callable[[Any], None]] = field(
        default_factory=list
    )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.sent.append(Sent(self.path, headers, self.rfile.read(length)))
        answer = self.receiver.answers.pop(0) if self.receiver.answers else 204
        if callable(answer):
            answer(self)
            return
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815  http.server names it

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the thread of the request, so that a handshake that fails keeps nobody waiting."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away, and say no to certificates: that is what is tested."""


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.tls = tls
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def slowly(piece: bytes, first: bytes = b"") -> Callable[[Any], None]:
    """Sends `piece` again and again, a little at a time, after `first`, until nobody listens."""

    def answer(handler: Any) -> None:
        try:
            handler.wfile.write(first)
            while True:
                handler.wfile.write(piece)
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            pass

    return answer


def endlessly(handler: Any) -> None:
    """A good answer whose body has no end."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    except OSError:
        pass
