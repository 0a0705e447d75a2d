"""What operators see of a running installation, besides what everybody may: see docs/health.md.

Every part is looked at beside the others and has until a common deadline; one that does not come in
time is told as such, and never as an error.
"""

import logging
import platform
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from typing import Any, TypeVar

import django
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest
from redis import Redis, RedisError
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.request import Request

from apps.accounts.authentication import ApiKeyAuthentication
from apps.core.pool import aside, pool_state
from apps.health import probes, rows
from apps.queue.board import LaneOnBoard, is_late, is_silent, read_board
from apps.queue.inspection import database_now

T = TypeVar("T")

WHO_SECONDS = 0.35
"""To find out who asks."""
SECONDS = 0.8
"""For everything together, so that the answer comes within a second."""
MAX_THREADS = 12
"""At most so many at a time in this process, however many of them hang."""
LATE, FAILED = {"status": "timeout"}, {"status": "failed"}

logger = logging.getLogger(__name__)
_room = threading.BoundedSemaphore(MAX_THREADS)


def is_operator(request: HttpRequest) -> bool | None:
    """Whether it is sent in a session of a staff user, or with a key of one; None when that could
    not be found out in time. Raises NotAuthenticated, or AuthenticationFailed for a bad key."""
    return _waited_for(_begun(lambda: _is_staff(request)), time.monotonic() + WHO_SECONDS)


def _is_staff(request: HttpRequest) -> bool:
    with aside(seconds=WHO_SECONDS):
        door, asked = ApiKeyAuthentication(), Request(request)
        try:
            shown = door.authenticate(asked)
            user = shown[0] if shown else request.user
            if not user.is_authenticated:
                raise NotAuthenticated
        except APIException as error:
            error.auth_header = door.authenticate_header(asked)  # type: ignore[attr-defined]  # as views of REST framework do
            raise
        return user.is_active and user.is_staff


def details(until: float) -> dict[str, Any]:
    """All parts; those that are not there at `until`, by the monotonic clock, are told as late."""
    parts: Mapping[str, Callable[[], Any]] = {
        "database": _database,
        "queue": _queue,
        "redis": _redis,
        "storage": _storage,
    }
    begun = {name: _begun(look) for name, look in parts.items()}
    known = {"pool": pool_state(), "versions": _versions()}
    return known | {name: _told(future, until) for name, future in begun.items()}


def _begun(work: Callable[[], T]) -> "Future[T]":
    """`work` in a thread of its own; never done where too many of them hang."""
    future: Future[T] = Future()
    if _room.acquire(blocking=False):
        threading.Thread(target=_run, args=(work, future), name="details", daemon=True).start()
    return future


def _run(work: Callable[[], T], future: "Future[T]") -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 (who waits for it deals with it)
        future.set_exception(error)
    finally:
        _room.release()


def _waited_for(future: "Future[T]", until: float) -> T | None:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except (FutureTimeoutError, DatabaseError):
        return None


def _told(future: "Future[Any]", until: float) -> Any:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except FutureTimeoutError:
        return LATE
    except (DatabaseError, RedisError, OSError) as error:
        logger.warning("health: a part of the details failed: %s", error)
        return FAILED


def _versions() -> dict[str, str]:
    return {
        "docmill": settings.VERSION,
        "python": platform.python_version(),
        "django": django.get_version(),
    }


def _database() -> dict[str, Any]:
    with aside(seconds=SECONDS):
        missing = rows.unapplied_migrations()
        with connection.cursor() as cursor:
            is_sqlite = connection.vendor == "sqlite"
            cursor.execute("SELECT sqlite_version()" if is_sqlite else "SHOW server_version")
            [version] = cursor.fetchone()
        return {"type": connection.vendor, "version": version, "unapplied_migrations": missing}


def _queue() -> dict[str, Any]:
    with aside(seconds=SECONDS):
        board, now = read_board(), database_now()
    since = min((lane.waits_since for lane in board.lanes if lane.waits_since), default=None)
    return {
        "oldest_waiting_seconds": _age(since, now),
        "lanes": {lane.name: _lane(lane, now) for lane in board.lanes},
        "workers": [
            {
                "host": worker.host,
                "pid": worker.pid,
                "version": worker.version,
                "lanes": worker.lanes,
                "slots": worker.slots,
                "started_at": worker.started_at,
                "seen_seconds_ago": _age(worker.seen_at, now),
                "is_silent": is_silent(worker),
            }
            for worker in board.workers
        ],
        "last_sweep_at": board.swept.started_at if board.swept else None,
        "sweep_is_late": is_late(board.swept),
        "pauses": [str(pause) for pause in board.pauses],
    }


def _lane(lane: LaneOnBoard, now: datetime) -> dict[str, Any]:
    return {
        **{what.replace(" ", "_"): lane.total(what) for what in lane.counts},
        "limit": lane.limit,
        "oldest_waiting_seconds": _age(lane.waits_since, now),
    }


def _age(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else round(max(0.0, (now - then).total_seconds()), 1)


def _redis() -> list[dict[str, Any]]:
    """Each server by what it is for; no address, which may hold a password."""
    found = []
    for url, names in probes.redis_urls().items():
        with Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
            info: Any = client.info()
        found.append(
            {
                "for": names,
                "version": info.get("valkey_version") or info.get("redis_version"),
                "used_bytes": info.get("used_memory"),
                "max_bytes": info.get("maxmemory") or None,
                "when_full": info.get("maxmemory_policy"),
                "connections": info.get("connected_clients"),
            }
        )
    return found


def _storage() -> dict[str, Any]:
    usage = shutil.disk_usage(settings.DOCMILL_DATA_DIR)
    return {"free_bytes": usage.free, "total_bytes": usage.total}
