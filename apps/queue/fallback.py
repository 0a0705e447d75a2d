"""While the broker is away a Celery worker hears nothing; its queue is worked on all the same.

A thread of the worker's main process looks at the broker; while it does not answer, a child runs
`work --loop`, which polls SQL. Lane caps are held at the claim, so the child and the worker's own
slots, which finish what they have, never run too much together.
"""

import logging
import os
import subprocess
import sys
import threading

from django.conf import settings

from apps.queue.doorbell import is_broker_there

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
MISSES = 2
"""Looks in a row that find no broker before the child is started: a restart is not an absence."""
STOP_MARGIN_SECONDS = 5


class Fallback:
    """Starts and stops the child. Belongs to the worker's main process."""

    def __init__(self, lanes: list[str], slots: int) -> None:
        self._command = [
            *(sys.executable, str(settings.BASE_DIR / "manage.py"), "work", "--loop"),
            *("--lanes", ",".join(lanes), "--slots", str(slots), "--parent", str(os.getpid())),
        ]
        self._child: subprocess.Popen[bytes] | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="broker-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch; the child hands back what it cannot finish in time."""
        self._done.set()
        self._thread.join()
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(settings.SHUTDOWN_GRACE_SECONDS + STOP_MARGIN_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()  # its leases run out
                self._child.wait()

    def _watch(self) -> None:
        missed = 0
        while not self._done.wait(LOOK_SECONDS):
            missed = 0 if is_broker_there() else missed + 1
            if self._child is not None and self._child.poll() is not None:
                self._child = None
            if missed >= MISSES and self._child is None:
                logger.warning("no broker: working from SQL until it is back")
                self._child = subprocess.Popen(self._command)
            elif not missed and self._child is not None:
                self._child.terminate()  # drains; asked again at every look until it is gone
