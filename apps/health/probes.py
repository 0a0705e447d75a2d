"""What `/health` looks at. A probe is a small function; a new one is a line in `PROBES`.

A probe may hang (a frozen server, a route that swallows packets), so each runs in a thread of its
own and is waited for until a common deadline. While one hangs, later requests wait for the same
run instead of starting another: a dead server costs one thread, whatever asks how often.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import ResponseError
from redis.retry import Retry

from apps.health import sandbox
from apps.health.report import Finding, health_answer

DEADLINE_SECONDS = 0.8
"""For all probes together, so that the whole answer comes within a second (H1)."""

FORGET_SECONDS = 10.0
"""A run that hangs for longer is left to itself, so that a server that came back is seen."""

logger = logging.getLogger(__name__)


def database() -> Finding:
    """Reads one row of the schema: SQLite does not touch its file for `SELECT 1`."""
    kind = connection.vendor
    query = "SELECT 1 FROM sqlite_master LIMIT 1" if kind == "sqlite" else "SELECT 1"
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
    except DatabaseError as error:
        logger.warning("health: the database check failed: %s", error)
        return Finding("failed", kind)
    finally:
        # The thread ends with the probe; its connection would stay open until collected.
        connection.close()
    return Finding("connected" if row else "failed", kind)


def redis() -> Finding:
    """One round trip to the server behind the default cache, over a connection of its own.

    Not over the shared pool: its timeouts (seconds) and retries are made for the work, and a
    connection that hangs in there would be missing to it.
    """
    try:
        pool = get_redis_connection("default").connection_pool
    except (NotImplementedError, ImproperlyConfigured):
        return Finding("disabled", "redis")
    patience = {
        "socket_timeout": DEADLINE_SECONDS,
        "socket_connect_timeout": DEADLINE_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    probe_pool = ConnectionPool(
        connection_class=pool.connection_class, **{**pool.connection_kwargs, **patience}
    )
    try:
        return Finding("connected", _product(Redis(connection_pool=probe_pool)))
    except RedisError as error:
        logger.warning("health: the redis check failed: %s", error)
        return Finding("failed", "redis")
    finally:
        probe_pool.disconnect()


def _product(client: "Redis") -> str:
    """`valkey` or `redis`. HELLO, unlike INFO, is allowed to all; before 6.0 it is unknown."""
    try:
        answer: dict[Any, Any] = client.execute_command("HELLO")  # type: ignore[no-untyped-call]
    except ResponseError:
        client.ping()
        return "redis"
    name = answer.get(b"server", answer.get("server", b"redis"))
    return name.decode() if isinstance(name, bytes) else str(name)


def monitoring() -> Finding:
    """Whether errors are reported to Sentry. Says what is configured, never contacts it."""
    return Finding("enabled" if settings.SENTRY_DSN else "disabled", "sentry")


@dataclass(frozen=True)
class Probe:
    """A check by name. `type` and `late` are answered when `look` does not come back in time."""

    name: str
    look: Callable[[], Finding]
    type: Callable[[], str]
    is_vital: bool = False
    late: str = "timeout"


PROBES = [
    Probe("database", database, type=lambda: connection.vendor, is_vital=True),
    Probe("redis", redis, type=lambda: "redis"),
    Probe("monitoring", monitoring, type=lambda: "sentry"),
    # Only the first look takes time, on a busy machine more than there is.
    Probe("sandbox", sandbox.Look(), type=lambda: sandbox.TYPE, late="checking"),
]


class _Runs:
    """The probe runs under way in this process: at most one per probe, shared by all who ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[float, Future[Finding]]] = {}

    def join(self, probe: Probe) -> "Future[Finding]":
        with self._lock:
            started, future = self._under_way.get(probe.name, (0.0, None))
            if future and not future.done() and time.monotonic() - started < FORGET_SECONDS:
                return future
            future = Future()
            self._under_way[probe.name] = (time.monotonic(), future)
        # A daemon: a probe that hangs must not keep the process from ending.
        threading.Thread(target=_run, args=(probe, future), daemon=True).start()
        return future


_runs = _Runs()


def _run(probe: Probe, future: "Future[Finding]") -> None:
    started = time.perf_counter()
    found = Finding("failed", probe.type())
    try:
        # What a probe does not expect is a fault in it: it shows as failed, and the traceback
        # goes where those of threads go.
        found = probe.look()
    finally:
        latency_ms = (time.perf_counter() - started) * 1000
        future.set_result(Finding(found.status, found.type, latency_ms))


def examine(probes: list[Probe]) -> dict[str, Finding]:
    """Runs the probes at the same time; one that is not back by the deadline is `late`."""
    started = time.monotonic()
    futures = [(probe, _runs.join(probe)) for probe in probes]
    findings = {}
    for probe, future in futures:
        left = max(0.0, started + DEADLINE_SECONDS - time.monotonic())
        try:
            findings[probe.name] = future.result(timeout=left)
        except FutureTimeoutError:
            waited_ms = (time.monotonic() - started) * 1000
            findings[probe.name] = Finding(probe.late, probe.type(), waited_ms)
    return findings


def health() -> dict[str, Any]:
    """The state of this installation now, as `/health` answers it. Takes less than a second."""
    return health_answer(
        examine(PROBES),
        vital=frozenset(probe.name for probe in PROBES if probe.is_vital),
        version=settings.VERSION,
        now=timezone.now(),
    )
