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

    Cut, it takes connections and bytes and forwards nothing. Mended, it drops the connections that
    it had, as what stood in between would not know of them any more.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._peers: dict[socket.socket, socket.socket] = {}
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
        was_cut = False
        while not self._is_done:
            ready = self._selector.select(LOOK_SECONDS)
            if was_cut and not self._is_cut:
                self._drop(*self._peers)
                was_cut = False
                continue
            was_cut = self._is_cut
            for key, _ in ready:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._take()
                else:
                    self._forward(sock)
        self._drop(*self._peers, self._listener)
        self._selector.close()
        self.path.unlink()

    def _take(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        if not self._is_cut:
            try:
                server.connect(str(self._target))
            except OSError:
                client.close()
                server.close()
                return
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
        for one in (client, server) if not self._is_cut else (client,):
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, sock: socket.socket) -> None:
        peer = self._peers.get(sock)
        if peer is None:  # dropped with its peer in this round
            return
        try:
            piece = sock.recv(CHUNK)
            if piece and not self._is_cut:
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
