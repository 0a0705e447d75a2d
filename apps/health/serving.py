"""The web server: granian, and what it is told. `manage.py web` becomes it, `up` starts it."""

import sys
from dataclasses import dataclass

from django.conf import settings

PROCESSES = 2
"""How many threads each has, and so how many database connections, config.asgi says."""
OPEN_STREAMS = 4000
"""Connections that a process takes. By itself granian takes few, and the rest wait unanswered."""
BACKLOG = 4096


@dataclass(frozen=True)
class Serving:
    """How the web server is to run.

    `kill_seconds` is how long a process may take to answer what is under way once it is told to
    stop: an upload or download that stays open must not hold up the stop for ever. A process that
    holds more than `max_megabytes` is replaced; None: none is.
    """

    host: str
    port: int
    processes: int = PROCESSES
    kill_seconds: int = 10
    max_megabytes: int | None = None

    def command(self) -> list[str]:
        """The command line. Its first process is granian's own, which takes SIGTERM."""
        options = {
            "interface": "asginl",
            "host": self.host,
            "port": str(self.port),
            "workers": str(self.processes),
            "backlog": str(BACKLOG),
            "backpressure": str(OPEN_STREAMS),
            "workers-kill-timeout": str(self.kill_seconds),
            "working-dir": str(settings.BASE_DIR),
            "log-level": "warning",
            "log-config": str(settings.BASE_DIR / "config" / "granian-log.json"),
        }
        if self.max_megabytes is not None:
            options["workers-max-rss"] = str(self.max_megabytes)
        parts = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [
            *(sys.executable, "-m", "granian", *parts),
            *("--respawn-failed-workers", "--no-ws", "config.asgi:application"),
        ]
