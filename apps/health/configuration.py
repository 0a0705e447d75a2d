"""What of the configuration would fail one day, for `manage.py doctor`."""

from typing import Any

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from redis import Redis, RedisError

from apps.health.lines import Line
from apps.health.probes import redis_urls
from apps.health.rows import unapplied_migrations
from apps.queue.findings import BROKEN, OK, WEAK
from apps.queue.models import WorkerNode

LAPTOP = "laptop"
ASKED_SECONDS = 2.0
PER_SLOT = 2
"""A slot has a connection, and so has the thread that renews its lease."""
PER_WORKER = 2
"""Its main process, and the thread that looks whether the broker is there."""
BEAT = 5
"""Its own, and one for each longer piece of recurring work under way."""
BESIDE_POOL = 5
"""Of a web process: health checks, and others that look while the pool is exhausted."""
WEB_PROCESSES = 2
"""As many as `manage.py up` starts."""


def configuration_lines() -> list[Line]:
    return [*_check_lines(), _migrations_line(), _connections_line(), *_redis_lines()]


def _check_lines() -> list[Line]:
    """Django's and our own checks; those of a deployment where this is one."""
    found = run_checks(include_deployment_checks=settings.ENVIRONMENT != LAPTOP)
    told = [
        Line(
            each.id or "check",
            BROKEN if each.level >= ERROR else WEAK,
            " ".join(filter(None, (each.msg, each.hint))).replace("\n", " "),
        )
        for each in found
        if not each.is_silenced()
    ]
    return told or [Line("settings", OK, "nothing to say against them")]


def _migrations_line() -> Line:
    try:
        missing = unapplied_migrations()
    except DatabaseError:
        return Line("migrations", BROKEN, "the database does not answer")
    if missing:
        return Line("migrations", BROKEN, f"run manage.py migrate: {', '.join(missing)}")
    return Line("migrations", OK, "all applied")


def _connections_line() -> Line:
    """How many web processes the server has connections for, besides the workers there are."""
    if connection.vendor != "postgresql":
        return Line("connections", OK, "files, not a server")
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('max_connections')::int,"
                " current_setting('superuser_reserved_connections')::int, count(*)"
                " FROM pg_stat_activity WHERE backend_type = 'client backend'"
            )
            most, reserved, used = cursor.fetchone()
        slots = [slots for (slots,) in WorkerNode.objects.values_list("slots")]
    except DatabaseError:
        return Line("connections", BROKEN, "the database does not answer")
    return connections_line(most=most - reserved, used=used, slots=slots)


def connections_line(*, most: int, used: int, slots: list[int]) -> Line:
    """`most` connections are allowed, `used` are open; each worker has so many slots. Pure."""
    workers = sum(PER_WORKER + PER_SLOT * each for each in slots) + BEAT
    each = settings.DATABASE_POOL["max_size"] + BESIDE_POOL
    room = max(0, (most - workers) // each)
    told = (
        f"{most} allowed, {used} open; workers and beat may open {workers}, each web process"
        f" {each}: room for {room} web processes"
    )
    if room >= WEB_PROCESSES:
        return Line("connections", OK, told)
    advice = "raise max_connections, or lower DB_MAX_CONNECTIONS or the slots of workers"
    return Line("connections", WEAK if room else BROKEN, f"{told}; {advice}")


def _redis_lines() -> list[Line]:
    return [_redis_line(url, names) for url, names in redis_urls().items()]


def _redis_line(url: str, names: list[str]) -> Line:
    name = f"Redis of {names[0].removesuffix('_REDIS_URL').removesuffix('_URL').lower()}"
    patience: dict[str, Any] = {
        "socket_timeout": ASKED_SECONDS,
        "socket_connect_timeout": ASKED_SECONDS,
    }
    try:
        with Redis.from_url(url, **patience) as client:
            memory: Any = client.info("memory")
    except RedisError as error:
        return Line(name, WEAK, f"cannot be asked: {error}")
    most, policy = memory.get("maxmemory", 0), memory.get("maxmemory_policy", "noeviction")
    return redis_line(name, names, most=most, policy=policy)


def redis_line(name: str, names: list[str], *, most: int, policy: str) -> Line:
    """What becomes of a Redis that is used for `names` once it is full. Pure."""
    keeps = policy == "noeviction"
    is_cache = "CACHE_REDIS_URL" in names
    if is_cache and len(names) > 1 and most and keeps:
        detail = "is the cache too, which fills it; then limits and doorbells fail"
        return Line(name, WEAK, f"{detail}: name one that evicts by CACHE_REDIS_URL")
    if not is_cache and most and not keeps:
        return Line(name, WEAK, f"forgets when it is full ({policy}): set it to noeviction")
    if is_cache and len(names) == 1 and (keeps or not most):
        detail = "grows without end" if not most else "takes no more once it is full"
        return Line(name, WEAK, f"{detail}: set maxmemory, and maxmemory-policy to allkeys-lru")
    return Line(name, OK, f"{most / 1024**2:.0f} MB, {policy}" if most else "no limit of memory")
