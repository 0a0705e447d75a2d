"""Whether Redis is asked, and how long for: after a failure not for two seconds, then one probe at
a time, made by a thread, so that no request waits for a server that is away."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from apps.core.wire import QuickParser

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
FAILURES = (RedisError, OSError)
CONNECT_SECONDS = 0.08
ANSWER_SECONDS = 0.15
"""The request that finds Redis away waits so long, at most for both."""
MAX_CONNECTIONS = 1000
"""Of a process; each thread that asks at the same moment has its own."""


def impatient() -> dict[str, Any]:
    """Options of a connection pool whose connections wait no longer than that, and try once: the
    breaker decides what happens next. Redis-py's own retries take seconds."""
    return {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": MAX_CONNECTIONS,
        "protocol": 2,
        "parser_class": QuickParser,
    }


def in_background(work: Callable[[], None]) -> None:
    """Calls `work` in a thread that the process does not wait for at its end."""
    threading.Thread(target=work, name="redis-work", daemon=True).start()


class Breaker:
    """Closed while Redis answers. `probe` raises one of FAILURES while it does not.

    `name` says in the log whose it is, `meanwhile` what happens while it is open. One line is
    logged when it goes and one when it is back, whatever happens in between.
    """

    def __init__(
        self,
        probe: Callable[[], None],
        *,
        name: str,
        meanwhile: str,
        clock: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None]], None] = in_background,
    ) -> None:
        self._probe = probe
        self._name = name
        self._meanwhile = meanwhile
        self._clock = clock
        self._spawn = spawn
        self._lock = threading.Lock()
        self._next_probe = 0.0
        self.is_open = False

    def is_closed(self) -> bool:
        """Whether to ask Redis now. Starts a probe when it is time for one."""
        if not self.is_open:
            return True
        with self._lock:
            due = self._clock() >= self._next_probe
            if due:
                self._next_probe = self._clock() + PAUSE_SECONDS
        if due:
            self._spawn(self._try)
        return not self.is_open

    def trip(self, error: Exception) -> None:
        """Redis has failed: it is left alone for a while."""
        with self._lock:
            self._next_probe = self._clock() + PAUSE_SECONDS
            was_open, self.is_open = self.is_open, True
        if not was_open:
            logger.warning("%s: Redis is away (%s); %s", self._name, error, self._meanwhile)

    def _try(self) -> None:
        try:
            self._probe()
        except FAILURES:
            return
        with self._lock:
            if self.is_open:  # told before anybody can see it
                logger.warning("%s: Redis is back", self._name)
            self.is_open = False
