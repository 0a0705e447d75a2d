"""What only the database, Redis or the disk know, read when somebody asks for metrics.

Each source has a thread of its own and is waited for until a common deadline: one that hangs costs
its own numbers and one thread. What was read is told again for some seconds.
"""

import logging
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django_redis import get_redis_connection
from prometheus_client.core import Metric

from apps.core.metrics import Defined, read_family
from apps.core.pool import aside
from apps.health import metrics
from apps.jobs.models import BatchJob
from apps.notifications.models import Notification
from apps.queue.board import HELD, RETRYING, RUNNING, WAITING, is_silent, read_lanes
from apps.queue.inspection import database_now
from apps.queue.models import PeriodicRun, WorkerNode

DEADLINE_SECONDS = 2.0
"""For all sources together; Prometheus by itself waits for ten."""
KEPT_SECONDS = 5.0
FORGET_SECONDS = 60.0
"""A read that hangs for longer is left to itself."""
MOST_UNREAD = 100_000
PLACES = {WAITING: "waiting", RETRYING: "retrying", HELD: "held", RUNNING: "running"}

Found = Mapping[tuple[str, ...], float]
Readings = list[tuple[Defined, Found]]

logger = logging.getLogger(__name__)


def read_database() -> Readings:
    """A fixed number of queries, each by an index over what has not ended."""
    with aside(seconds=DEADLINE_SECONDS):
        return [*_queue(), *_workers(), (metrics.JOBS_OPEN, _open_jobs()), _unread()]


def _queue() -> Readings:
    lanes, now = read_lanes(), database_now()
    rows: Found = {
        (lane.name, at): lane.total(what) for lane in lanes for what, at in PLACES.items()
    }
    oldest: Found = {
        (lane.name,): max(0.0, (now - (lane.waits_since or now)).total_seconds()) for lane in lanes
    }
    return [
        (metrics.QUEUE_ROWS, rows),
        (metrics.QUEUE_OLDEST, oldest),
        (metrics.QUEUE_LIMIT, {(lane.name,): lane.limit for lane in lanes}),
        (metrics.QUEUE_PAUSED, {(lane.name,): float(bool(lane.pauses)) for lane in lanes}),
    ]


def _workers() -> Readings:
    states, slots = Counter(alive=0, silent=0), Counter(dict.fromkeys(settings.QUEUE_LANES, 0))
    workers: QuerySet[Any] = WorkerNode.objects.all()
    for worker in workers.annotate(now=Now()):
        silent = is_silent(worker)
        states["silent" if silent else "alive"] += 1
        for lane in () if silent else worker.lanes:
            slots[lane] += worker.slots
    sweeps: QuerySet[Any] = PeriodicRun.objects.filter(pk="sweep").exclude(started_at=None)
    swept = sweeps.annotate(now=Now()).first()
    ages: Found = {(): max(0.0, (swept.now - swept.started_at).total_seconds())} if swept else {}
    return [
        (metrics.WORKERS, {(state,): count for state, count in states.items()}),
        (metrics.QUEUE_SLOTS, {(lane,): count for lane, count in slots.items()}),
        (metrics.SWEEP_AGE, ages),
    ]


def _open_jobs() -> Found:
    counted = BatchJob.objects.open().order_by().values_list("state").annotate(Count("pk"))
    return {(state,): count for state, count in counted}


def _unread() -> tuple[Defined, Found]:
    some = Notification.objects.filter(read_at=None, is_shown=True).order_by()[:MOST_UNREAD]
    return metrics.UNREAD, {(): some.count()}


def read_redis() -> Readings:
    told = get_redis_connection("default").info("memory")
    return [(metrics.REDIS_MEMORY, {(): told["used_memory"]})]


def read_storage() -> Readings:
    disk = os.statvfs(settings.DOCMILL_DATA_DIR)
    return [(metrics.STORAGE_FREE, {(): disk.f_bavail * disk.f_frsize})]


class Source:
    """Where numbers are read; at most one read of it is under way in this process."""

    def __init__(self, name: str, read: Callable[[], Readings]) -> None:
        self.name = name
        self._read = read
        self._lock = threading.Lock()
        self._began = -FORGET_SECONDS
        self._future: Future[Readings] | None = None
        self._is_up = True

    def ask(self) -> "Future[Readings]":
        """What was read lately, or is being read."""
        with self._lock:
            future, age = self._future, time.monotonic() - self._began
            keeps = FORGET_SECONDS if future and not future.done() else KEPT_SECONDS
            if future is None or age >= keeps:
                self._began, self._future = time.monotonic(), Future()
                name, future = f"metrics-{self.name}", self._future
                threading.Thread(target=self.run, args=(future,), name=name, daemon=True).start()
            assert self._future is not None
            return self._future

    def run(self, future: "Future[Readings]") -> None:
        try:
            future.set_result(self._read())
            self._is_up = True
        except Exception as error:  # noqa: BLE001  (whatever it is, it shows as not up)
            if self._is_up:  # once, until it goes well again
                logger.warning("metrics: nothing can be read from the %s: %s", self.name, error)
            self._is_up = False
            future.set_exception(error)


SOURCES = [
    Source("database", read_database),
    Source("redis", read_redis),
    Source("storage", read_storage),
]


def families() -> Iterator[Metric]:
    """All that could be read, and of each source whether it could."""
    build = (settings.VERSION, platform.python_version(), connection.vendor)
    yield read_family(metrics.BUILD, {build: 1.0})
    until = time.monotonic() + DEADLINE_SECONDS
    up: dict[tuple[str, ...], float] = {}
    for source, future in [(source, source.ask()) for source in SOURCES]:
        readings = _result(future, until)
        up[source.name,] = float(readings is not None)
        for defined, found in readings or ():
            yield read_family(defined, found)
    yield read_family(metrics.COLLECTOR_UP, up)


def _result(future: "Future[Readings]", until: float) -> Readings | None:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except (FutureTimeoutError, Exception):  # noqa: BLE001  (what it was is in the log)
        return None
