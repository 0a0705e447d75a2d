"""How well readers of documents are kept in on this machine, as `/health` tells it.

Found out by starting a reader without processors (80 ms) and asking what it gave up. The machine
does not change, so once per process is enough. What is told is this machine's, the web server's:
workers on other machines have `manage.py doctor`.
"""

import logging
import threading
import time

from apps.health.report import Finding
from apps.processors.errors import Unavailable
from apps.processors.host import isolation_in_force

TYPE = "reader"
SECONDS_BETWEEN_TRIES = 60.0

logger = logging.getLogger(__name__)


class Look:
    """Remembers what was seen; where no reader started, tries again after a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Finding | None = None
        self._valid_until = 0.0

    def __call__(self) -> Finding:
        """`isolated`, or `weak` with the missing layers as type, or `failed`."""
        with self._lock:
            if self._found is None or time.monotonic() > self._valid_until:
                self._found, seconds = _look()
                self._valid_until = time.monotonic() + seconds
            return self._found


def _look() -> tuple[Finding, float]:
    """What is found, and for how many seconds it holds."""
    try:
        missing = isolation_in_force().missing
    except (Unavailable, OSError) as error:
        logger.warning("health: no reader starts: %s", error)
        return Finding("failed", TYPE), SECONDS_BETWEEN_TRIES
    if missing:
        return Finding("weak", "+".join(missing)), float("inf")
    return Finding("isolated", TYPE), float("inf")
