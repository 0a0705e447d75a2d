"""Django's own backend, but for its pool, for how moments are read, and for who waits in a request
whose time is over.

psycopg's pool waits alike for a connection that others have and for a server that is gone, and
then tells the same. Here the first is `AllInUse`, after DB_CONNECTION_TIMEOUT, and the second any
other OperationalError, at once.
"""

import select
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg import Connection, OperationalError
from psycopg.adapt import AdaptersMap
from psycopg.errors import QueryCanceled, _WaitTimeout
from psycopg.pq import ConnStatus
from psycopg.pq.abc import PGconn
from psycopg_pool import ConnectionPool, PoolTimeout

from apps.core import deadline
from apps.core.pool import AllInUse, PoolState

CONNECT_SECONDS = 6.0
"""How long a thread waits for the server itself: somewhat longer than for one try to connect."""
LOOK_SECONDS = 0.2
"""Until it is looked whether trying to connect has failed meanwhile."""
RETRY_SECONDS = 2.0
"""The pool tries by itself for so long to replace a connection, with growing pauses; after that
with the next request, so that a server that is back is found at once."""
ALIVE_SECONDS = 3.0
"""How long an idle connection may take to show that there is still a server behind it."""
LAST_SECONDS = 2.0
"""How long the end of a transaction may take when the time is over, and a statement to end that was
told to."""


class Turns:
    """At most `count` threads at a time; who waits longest is next."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def take(self, seconds: float) -> bool:
        """Whether it was one's turn within that time."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            mine = threading.Event()
            self._queue.append(mine)
        if mine.wait(seconds):
            return True
        with self._lock:
            if mine.is_set():  # just now
                return True
            self._queue.remove(mine)
            return False

    def give(self) -> None:
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1


class Hurried(Connection[Any]):
    """Has the server end what it does for a request whose time is over: a statement, and waiting
    for a lock. It costs no round trip, and a server that is frozen is not waited for either."""

    def wait(self, gen: Any, interval: float = LOOK_SECONDS, timeout: float | None = None) -> Any:
        """Raises OperationalError where the time was over, of which QueryCanceled is one."""
        left = deadline.left()
        if left is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, left if left > 0 else LAST_SECONDS)
        except _WaitTimeout:
            return self._ended(gen, interval)

    def _ended(self, gen: Any, interval: float) -> Any:
        """What the server said last: it may have been done just then."""
        try:
            self.cancel_safe(timeout=LAST_SECONDS)
            return super().wait(gen, interval, LAST_SECONDS)
        except QueryCanceled:
            raise
        except OperationalError as error:
            self.close()  # nobody knows what it will answer to
            raise OperationalError("the database server does not end a statement") from error


class Pool(ConnectionPool[Any]):
    """Whoever has a turn finds a connection, or one may be opened: waiting then is for the
    server."""

    def __init__(self, *, max_size: int, **options: Any) -> None:
        self._turns = Turns(max_size)
        self._used = 0
        self._used_lock = threading.Lock()
        super().__init__(max_size=max_size, **options)

    def getconn(self, timeout: float | None = None) -> Any:
        """Raises AllInUse, or psycopg's OperationalError when the server cannot be reached."""
        seconds = deadline.bounded(self.timeout if timeout is None else timeout)
        if not self._turns.take(seconds):
            raise AllInUse(f"all {self.max_size} connections were in use for {seconds:.0f} s")
        try:
            found = self._reach_server()
        except BaseException:
            self._turns.give()
            raise
        self._count(1)
        return found

    def putconn(self, conn: Any) -> None:
        super().putconn(conn)
        self._count(-1)
        self._turns.give()

    def state(self) -> PoolState:
        told = self.get_stats()
        return PoolState(
            size=told["pool_size"],
            in_use=self._used,
            idle=told["pool_available"],
            waiting=self._turns.waiting,
        )

    def _count(self, number: int) -> None:
        with self._used_lock:
            self._used += number

    def _reach_server(self) -> Any:
        end = time.monotonic() + deadline.bounded(CONNECT_SECONDS)
        failed = self._failed()
        while True:
            try:
                return super().getconn(LOOK_SECONDS)
            except PoolTimeout:
                if self._failed() > failed or time.monotonic() > end:
                    raise OperationalError("the database server cannot be reached") from None

    def _failed(self) -> int:
        """How many tries to connect have failed so far."""
        return self.get_stats().get("connections_errors", 0)


class Moments(BaseTzLoader):
    """Reads what psycopg would, which takes each moment apart with a regular expression: of fifty
    rows that took as long as all else that is done to make them."""

    timezone = UTC

    def load(self, data: Any) -> datetime:
        try:
            return datetime.fromisoformat(bytes(data).decode()).astimezone(UTC)
        except ValueError:
            found: datetime = super().load(data)  # which can tell what is wrong with it
            return found


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's, with `Moments`, and `Pool` where OPTIONS has "pool"."""

    _making = threading.Lock()

    def get_connection_params(self) -> dict[str, Any]:
        found = super().get_connection_params()
        found["context"] = AdaptersMap(found["context"])
        found["context"].register_loader("timestamptz", Moments)
        return found

    @property
    def pool(self) -> Pool | None:
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools = self._connection_pools  # type: ignore[attr-defined]  # not in the stubs
        if self.alias not in pools:
            made = self._make_pool(options)
            with self._making:
                pools.setdefault(self.alias, made)
        found: Pool = pools[self.alias]
        return found

    def _make_pool(self, options: dict[str, Any]) -> Pool:
        return Pool(
            # Django sets what else is wanted of a connection when it is taken.
            kwargs={**self.get_connection_params(), "autocommit": True},
            connection_class=Hurried,
            open=False,
            configure=self._configure_connection,  # type: ignore[attr-defined]  # the same
            check=check,
            reconnect_timeout=RETRY_SECONDS,
            name="database",
            **options,
        )


def check(connection: Connection[Any]) -> None:
    """Raises OperationalError when nobody answers behind an idle connection.

    psycopg would wait for a server that is frozen as long as it is, and the thread with it.
    """
    try:
        _ask(connection.pgconn)
    except OperationalError:
        connection.close()
        raise


def _ask(server: PGconn) -> None:
    end = time.monotonic() + ALIVE_SECONDS
    poll = select.poll()
    poll.register(server.socket, select.POLLIN)
    server.send_query(b"")
    while server.flush() or server.is_busy():
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise OperationalError("the database server does not answer")
        server.consume_input()
    while server.get_result():
        pass  # none, or that the server has ended the connection
    if server.status != ConnStatus.OK:
        raise OperationalError("the database server has closed the connection")
