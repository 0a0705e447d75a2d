"""How a Celery worker becomes a worker of the queue: its row, its first rings, its drain."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.apps import worker as celery_app
from celery.signals import worker_process_shutdown, worker_shutting_down
from django.conf import settings
from django.db import connection

from apps.core import pulse, tracing
from apps.core.logs import JSON, as_line
from apps.queue import drain, worker
from apps.queue.doorbell import ring
from apps.queue.fallback import Fallback


class Registration(bootsteps.StartStopStep):
    """Keeps this worker's row fresh, from the main process, which never parses anything."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(
        self, parent: Any, lanes: list[str], slots: int, pulse_file: Path | None, **options: Any
    ) -> None:
        super().__init__(parent, **options)
        self.lanes, self.slots, self.pulse_file = lanes, slots, pulse_file

    def start(self, parent: Any) -> None:
        self.fallback = Fallback(self.lanes, self.slots)
        self.fallback.start()
        self._touch()
        parent.timer.call_repeatedly(settings.WORKER_SILENT_SECONDS / 3, self._touch)
        for lane in self.lanes:  # what came while no worker was there
            ring(lane, self.slots)

    def stop(self, parent: Any) -> None:
        self.fallback.stop()
        with suppress(*worker.DATABASE_AWAY):  # then the sweep forgets the row
            worker.unregister()
        connection.close()

    def _touch(self) -> None:
        pulse.beat(self.pulse_file)
        with suppress(*worker.DATABASE_AWAY):  # every slot says so; the next touch comes soon
            worker.register(self.lanes, self.slots)
        # A pool process that is forked later must not inherit an open connection.
        connection.close()


def run(app: Celery, lanes: list[str], slots: int, pulse_file: Path | None = None) -> None:
    """Runs a Celery worker for `lanes` with `slots` processes until it is told to stop.

    SIGTERM to the main process (not its group): claims nothing new, lets running rows finish
    within SHUTDOWN_GRACE_SECONDS, hands back the rest. Raises SystemExit where it
    ended by an error, which Celery logs and does not tell its caller.
    """
    started: list[Any] = []

    if settings.LOG_FORMAT == JSON:
        # Celery has no setting for what it prints of signals that stop it.
        celery_app.safe_say = _say_as_line  # type: ignore[attr-defined]  # not in the stubs

    class ThisRegistration(Registration):
        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, lanes, slots, pulse_file, **options)
            started.append(parent)

    app.steps["worker"].add(ThisRegistration)
    arguments = [
        "--quiet",
        "worker",
        f"--queues={','.join(lanes)}",
        f"--concurrency={slots}",
        "--pool=prefork",
        f"--hostname={worker.worker_id}@%h",
        "--without-gossip",
        "--without-mingle",
        f"--loglevel={settings.LOG_LEVEL}",
    ]
    start: Any = app.start  # the stubs take it for one that never returns
    start(arguments)
    if code := next((each.exitcode for each in started), None):
        sys.exit(code)


def _say_as_line(text: str, *_: Any) -> None:
    """In a handler of signals: past the log, which may be in the middle of a line of its own."""
    os.write(2, f"{as_line(text.strip(), logger='celery')}\n".encode())


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    drain.begin()


@worker_process_shutdown.connect
def _close_slot(**_: Any) -> None:
    worker.close_slot()
    tracing.flush()  # such a process ends without what Python does at its end
