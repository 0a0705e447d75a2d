"""A bad line to a server: connections that end, answers that are lost, nonsense."""

import socket
import threading
from urllib.parse import urlsplit

CLOSE = b""
"""What a bad way answers: the connection ends without a word."""
SWALLOW = None
"""The request arrives, and its answer is lost."""


TLS_HANDSHAKE = b"\x16"
"""The type of the first record of a TLS connection (RFC 8446, 5.1)."""

Fate = bytes | str | int | None


class BadWay:
    """Stands before a server; the first connections fare as it is told, the others well.

    For each: "pass" is well, None swallows the server's answer, bytes are sent instead of asking
    the server, and of a number so many bytes of the request's body get through before it is cut.
    """

    def __init__(self, target: str, *fates: Fate) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._fates = list(fates)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            fate = self._fates.pop(0) if self._fates else "pass"
            thread = threading.Thread(target=self._serve, args=(client, fate))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, fate: Fate) -> None:
        with client:
            request = _request(client)
            if isinstance(fate, bytes):
                client.sendall(fate)
                return
            with socket.create_connection(self._target) as server:
                if isinstance(fate, int):
                    head, end, body = request.partition(b"\r\n\r\n")
                    request = head + end + body[:fate]
                server.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                if isinstance(fate, int):
                    return
                answer = b"".join(iter(lambda: server.recv(65536), b""))
            if fate == "pass":  # and the next request is another connection
                client.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))


def _request(client: socket.socket) -> bytes:
    """One whole request, its length taken from its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536) or b"\r\n\r\n"
        if data.startswith(TLS_HANDSHAKE):
            return data
    head = data.partition(b"\r\n\r\n")[0].lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r")[0] or 0)
    while len(data) < len(head) + 4 + length:
        data += client.recv(65536)
    return data


def response(status: str, body: str = "", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", body]).encode()
