"""Celery with nothing around it: a task that only notes when it ran.

`celery -A benchmarks.queueing.bare worker`, with BARE_CELERY naming the options and BARE_TIMES the
file for the times. Run it without DJANGO_SETTINGS_MODULE: Celery would look after Django then.
"""

import os
import struct
import time
from pathlib import Path
from typing import Any

from celery import Celery

QUEUE = "bare"
TASK = "bare.nothing"
RECORD = struct.Struct("d")
FLAVOURS = {
    "docmill": "bare Celery, the worker's options",
    "defaults": "bare Celery, its defaults",
    "late": "bare Celery, its defaults and acks late",
}


def make(flavour: str) -> Celery:
    """An application with the options of the worker, or with Celery's own on the same broker."""
    from config import settings

    app = Celery("bare", set_as_current=False)
    if flavour == "docmill":
        app.config_from_object("config.settings", namespace="CELERY")
        # A process of the worker is replaced after 200 doorbells, each for up to 50 files. With a
        # task for each, that would be a new process for every 200 tasks.
        changed: dict[str, Any] = {"worker_max_tasks_per_child": None, "beat_schedule": {}}
    else:
        changed = {"task_acks_late": flavour == "late", "task_ignore_result": True}
    app.conf.update(
        broker_url=settings.CELERY_BROKER_URL,
        task_queues={QUEUE: {"exchange": QUEUE, "routing_key": QUEUE}},
        task_default_queue=QUEUE,
        **changed,
    )
    return app


app = make(os.environ.get("BARE_CELERY", "docmill"))
_times = os.open(
    os.environ.get("BARE_TIMES", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
)


@app.task(name=TASK)
def nothing() -> None:
    os.write(_times, RECORD.pack(time.time()))


def read_times(path: Path) -> list[float]:
    """When each task ran, in seconds since the epoch."""
    whole = path.read_bytes() if path.exists() else b""
    return [moment for (moment,) in RECORD.iter_unpack(whole)]
