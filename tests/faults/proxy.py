"""A proxy before a server's Unix socket that goes silent without closing: a broken network."""

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

CHUNK = 65536
LOOK_SECONDS = 0.05


class Proxy:
    """Forwards between the socket `path` and the server's at `target`, from a thread.

    Cut, it takes connections and says nothing, and of those there are it never says anything
    again: what stood in between has forgotten them, and nobody tells their ends. Mended, it
    forwards what is connected anew.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._peers: dict[socket.socket, socket.socket] = {}
        self._silent: list[socket.socket] = []
        self._is_cut = self._is_done = False
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._is_cut = True

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self._is_done = True
        self._thread.join()

    def _run(self) -> None:
        while not self._is_done:
            for key, _ in self._selector.select(LOOK_SECONDS):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._take()
                elif self._is_cut:
                    self._silence()
                else:
                    self._forward(sock)
        self._drop(*self._peers, *self._silent, self._listener)
        self._selector.close()
        self.path.unlink()

    def _take(self) -> None:
        client, _ = self._listener.accept()
        if self._is_cut:
            self._silent.append(client)
            return
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._target))
        except OSError:
            client.close()
            server.close()
            return
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _silence(self) -> None:
        for sock in self._peers:
            self._selector.unregister(sock)
        self._silent += self._peers
        self._peers.clear()

    def _forward(self, sock: socket.socket) -> None:
        peer = self._peers.get(sock)
        if peer is None:  # dropped with its peer in this round
            return
        try:
            piece = sock.recv(CHUNK)
            if piece:
                peer.sendall(piece)
        except OSError:
            piece = b""
        if not piece:
            self._drop(sock, peer)

    def _drop(self, *socks: socket.socket) -> None:
        for sock in socks:
            self._peers.pop(sock, None)
            with suppress(KeyError, ValueError):
                self._selector.unregister(sock)
            sock.close()
