"""How a Celery worker becomes a worker of the queue: its row, its first rings, its drain."""

from contextlib import suppress
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_process_shutdown, worker_shutting_down
from django.conf import settings
from django.db import connection

from apps.queue import drain, worker
from apps.queue.doorbell import ring
from apps.queue.fallback import Fallback

SEEN_EVERY_SECONDS = 10


class Registration(bootsteps.StartStopStep):
    """Keeps this worker's row fresh, from the main process, which never parses anything."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, parent: Any, lanes: list[str], slots: int, **options: Any) -> None:
        super().__init__(parent, **options)
        self.lanes, self.slots = lanes, slots

    def start(self, parent: Any) -> None:
        self.fallback = Fallback(self.lanes, self.slots)
        self.fallback.start()
        self._touch()
        parent.timer.call_repeatedly(SEEN_EVERY_SECONDS, self._touch)
        for lane in self.lanes:  # what came while no worker was there
            ring(lane, self.slots)

    def stop(self, parent: Any) -> None:
        self.fallback.stop()
        with suppress(*worker.DATABASE_AWAY):  # then the sweep forgets the row
            worker.unregister()
        connection.close()

    def _touch(self) -> None:
        with suppress(*worker.DATABASE_AWAY):  # every slot says so; the next touch comes soon
            worker.register(self.lanes, self.slots)
        # A pool process that is forked later must not inherit an open connection.
        connection.close()


def run(app: Celery, lanes: list[str], slots: int) -> None:
    """Runs a Celery worker for `lanes` with `slots` processes until it is told to stop.

    SIGTERM to the main process (not its group): claims nothing new, lets running rows finish
    within SHUTDOWN_GRACE_SECONDS, hands back the rest.
    """

    class ThisRegistration(Registration):
        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, lanes, slots, **options)

    app.steps["worker"].add(ThisRegistration)
    app.worker_main(
        [
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
    )


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    drain.begin()


@worker_process_shutdown.connect
def _close_slot(**_: Any) -> None:
    worker.close_slot()
