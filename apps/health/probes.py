"""What `/health` looks at. A probe is a small function; a new one is a line in `CHAINS`."""

import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from apps.core.pool import aside
from apps.health import rows, sandbox, stored
from apps.health.report import Finding, health_answer
from apps.health.runs import DEADLINE_SECONDS, Chain, Probe, examine
from apps.health.telling import say

MEMORY = "memory"
"""In place of the address of a Redis: each process keeps its own."""
MARK = "docmill:health"


def redis_urls() -> dict[str, list[str]]:
    """Every Redis that is in use: its address, and the settings that name it, the broker first."""
    found: dict[str, list[str]] = {}
    for name in ("REDIS_URL", "CACHE_REDIS_URL", "LIMITS_REDIS_URL"):
        url = getattr(settings, name)
        if url != MEMORY:
            found.setdefault(url, []).append(name)
    return found


def redis() -> Finding:
    """A round trip and a write to each Redis that is in use, over connections of its own.

    Not over the shared pools: their timeouts (seconds) and retries are made for the work. One that
    is full or read-only answers a ping too.
    """
    product, status, trouble = "redis", "connected", []
    end = time.monotonic() + DEADLINE_SECONDS
    for url, names in redis_urls().items():
        try:
            product = _product(url, max(0.05, end - time.monotonic()))
        except ResponseError as error:
            trouble.append(f"{names[0]} takes no writes: {error}")
            status = "degraded" if status == "connected" else status
        except RedisError as error:
            trouble.append(f"{names[0]} does not answer: {error}")
            status = "failed"
    say("redis", "; ".join(trouble))
    return Finding(status, product)


def _product(url: str, seconds: float) -> str:
    """`valkey` or `redis`; before 6.0, which has no HELLO, it is not told."""
    patience: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    with closing(Redis.from_url(url, retry=Retry(NoBackoff(), 0), **patience)) as client:
        client.set(MARK, "1", px=1000)
        try:
            # HELLO, unlike INFO, is allowed to all.
            answer: dict[Any, Any] = client.execute_command("HELLO")  # type: ignore[no-untyped-call]
        except ResponseError:
            return "redis"
    name = answer.get(b"server", answer.get("server", b"redis"))
    return name.decode() if isinstance(name, bytes) else str(name)


def monitoring() -> Finding:
    """Whether errors are reported to Sentry. Says what is configured, never contacts it."""
    return Finding("enabled" if settings.SENTRY_DSN else "disabled", "sentry")


def _vendor() -> str:
    return connection.vendor


def _named(name: str) -> str:
    return name


SANDBOX = Probe(
    # Only the first look takes time, on a busy machine more than there is.
    "sandbox",
    sandbox.Look(),
    type=partial(_named, sandbox.TYPE),
    late="checking",
)
DATABASE = Probe("database", rows.database, type=_vendor, is_vital=True)
ROWS = Chain(
    DATABASE,
    Probe("workers", rows.workers, type=partial(_named, rows.WORKERS)),
    Probe("beat", rows.beat, type=partial(_named, rows.BEAT)),
    Probe("queue", rows.queue, type=_vendor),
    around=partial(aside, seconds=DEADLINE_SECONDS),
)
CHAINS = [
    ROWS,
    Chain(Probe("redis", redis, type=partial(_named, "redis"))),
    Chain(Probe("monitoring", monitoring, type=partial(_named, "sentry"))),
    Chain(Probe("storage", stored.Look(), type=partial(_named, stored.DISK))),
    Chain(SANDBOX),
]
VITAL = frozenset(probe.name for chain in CHAINS for probe in chain.probes if probe.is_vital)


def begin() -> None:
    """Starts to look, for who asks what was found a moment later."""
    for chain in CHAINS:
        chain.join()


def findings() -> Mapping[str, Finding]:
    """What each probe finds now, or found a moment ago. Takes less than a second."""
    return examine(CHAINS)


def health() -> dict[str, Any]:
    """The state of this installation now, as `/health` answers it. Takes less than a second."""
    return health_answer(findings(), vital=VITAL, version=settings.VERSION, now=timezone.now())


def readiness() -> dict[str, Any]:
    """The same of what a process needs to serve at all: a database that answers and has the tables
    of this version. It serves without the rest."""
    found = {DATABASE.name: ROWS.join().finding(DATABASE)}
    return health_answer(found, vital=VITAL, version=settings.VERSION, now=timezone.now())
