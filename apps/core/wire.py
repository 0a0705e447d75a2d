"""Commands to Redis past its client's own ways, which take longer than Redis and the network.

What is quick here is what happens with nearly every command; with all else the client deals.
"""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis._parsers import _RESP2Parser

Part = str | bytes | int
READ_BYTES = 65_536
OTHER: Any = object()
"""An answer that is not read here."""


class QuickPool(redis.ConnectionPool):
    """A pool whose idle connections are taken and given back without its client's own accounts of
    that, which take as long as a third of a command. All else is done as the client does it."""

    def get_connection(self, *args: Any, **options: Any) -> Any:
        with self._lock:
            if self._available_connections:
                connection: Any = self._available_connections[-1]
                if connection.pid == os.getpid() and _is_quiet(connection._sock):
                    self._in_use_connections.add(self._available_connections.pop())
                    return connection
        return super().get_connection()

    def release(self, connection: Any) -> None:
        with self._lock:
            if connection in self._in_use_connections and connection.pid == os.getpid():
                self._in_use_connections.remove(connection)
                self._available_connections.append(connection)
                return
        super().release(connection)


def _is_quiet(sock: Any) -> bool:
    """Whether it is open, and no answer waits in it that came too late."""
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


class QuickParser(_RESP2Parser):
    """Reads strings, and lists of them, at once, where all of an answer comes at once."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        buffer: Any = self._buffer
        encoder: Any = self.encoder
        # Where a time is named it is a number or None.
        is_usual = type(options.get("timeout", OTHER)) is object
        if is_usual and buffer and not encoder.decode_responses and not buffer.unread_bytes():
            data = buffer._sock.recv(READ_BYTES)
            answer = read_strings(data)
            if answer is not OTHER:
                return answer
            buffer._buffer.write(data)
            buffer.rewind(0)
        return super().read_response(*args, **options)


def read_strings(data: bytes) -> Any:
    """What `data` says, if it is just one string or list of strings as Redis writes them, each of
    which may be None; otherwise OTHER."""
    at = 0
    count = 1
    is_list = data.startswith(b"*")
    if is_list:
        at = data.find(b"\r\n") + 2
        count = int(data[1:at] or 0)
    found: list[bytes | None] = []
    for _ in range(count):
        end = data.find(b"\r\n", at)
        if end < 0 or data[at] != ord("$"):
            return OTHER
        size = int(data[at + 1 : end])
        at = end + 2
        if size < 0:
            found.append(None)
        else:
            found.append(data[at : at + size])
            at += size + 2
    if at != len(data) or not found:
        return OTHER
    return found if is_list else found[0]


@contextmanager
def connection_of(client: redis.Redis) -> Iterator[Any]:
    """A connection of the client's pool. Who is interrupted closes it: the answer that comes late
    would be read as the one to somebody else's command."""
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def ask(client: redis.Redis, *parts: Part) -> Any:
    """What Redis answers to one command of the client; what it tells as an error is raised."""
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        return send(connection, *parts)
    except BaseException:
        connection.disconnect()  # for the same reason
        raise
    finally:
        pool.release(connection)


def send(connection: Any, *parts: Part) -> Any:
    """What Redis answers to the command; what it tells as an error is raised."""
    connection.send_packed_command([_command(*parts)])
    return connection.read_response()


def _command(*parts: Part) -> bytes:
    """As Redis reads it: the number of parts, then each with its length."""
    sent = [b"*%d\r\n" % len(parts)]
    for part in parts:
        encoded = part if type(part) is bytes else str(part).encode()
        sent.append(b"$%d\r\n%b\r\n" % (len(encoded), encoded))
    return b"".join(sent)
