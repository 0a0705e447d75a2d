"""Working the queue off from SQL alone: no broker, no Celery. Slots are threads; each parses in a
child process of its own, so nothing that must not share a thread does.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import connection

from apps.core import pulse
from apps.queue import drain, worker
from apps.queue.sweep import sweep

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 0.5


def work_once(lanes: list[str]) -> int:
    """Runs, one after the other, all that can start now; how many rows it ran."""
    sweep()
    try:
        ran = 0
        while not drain.began_at() and (more := sum(worker.work_off(lane) for lane in lanes)):
            ran += more
        return ran
    finally:
        worker.close_slot()


def work_until_drained(
    lanes: list[str], slots: int, parent: int | None = None, pulse_file: Path | None = None
) -> None:
    """Polls `lanes` with `slots` threads until `drain.begin()`; sweeps in between.

    With `parent`, a process id, also until that is not its parent any more.
    """
    threads = [
        threading.Thread(target=_slot, args=(lanes,), name=f"slot-{number}")
        for number in range(slots)
    ]
    for thread in threads:
        thread.start()
    while not drain.began_at():
        pulse.beat(pulse_file)
        _steadily(sweep)
        _steadily(lambda: worker.register(lanes, slots))
        _wait(settings.SWEEP_SECONDS)
        if parent is not None and os.getppid() != parent:
            drain.begin()
    for thread in threads:
        thread.join()
    _steadily(worker.unregister)


def _slot(lanes: list[str]) -> None:
    try:
        while not drain.began_at():
            ran = _steadily(lambda: sum(worker.work_off(lane) for lane in lanes))
            if not ran:
                _wait(POLL_SECONDS)
    finally:
        worker.close_slot()
        connection.close()


def _steadily(work: Callable[[], T]) -> T | None:
    """What `work` returns; None after an error, which must not end a thread that others need."""
    try:
        return work()
    except worker.DATABASE_AWAY as error:
        logger.warning("the database is away (%s)", error)
        connection.close()
    except Exception:  # a bug must not end the thread that others need
        logger.exception("unhandled error; going on")
    return None


def _wait(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not drain.began_at():
        time.sleep(0.1)
