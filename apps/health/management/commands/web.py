import math
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.core.commands import ServiceCommand
from apps.health.serving import PROCESSES, Serving

MAX_MEGABYTES = 512
"""A process has 80 MB when it is idle, and 130 MB with a thousand streams."""


class Command(ServiceCommand):
    help = """Serve pages, API and live events until stopped.

  manage.py web --host 0.0.0.0 --port 8000 --processes 4

SIGTERM: takes no new connection, answers what is under way within SHUTDOWN_GRACE_SECONDS, ends.
A process that dies is started again. Tables and static files are not touched: manage.py migrate and
collectstatic come first. On a laptop manage.py up does all of it.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="(8000)")
        parser.add_argument(
            "--processes", type=int, default=PROCESSES, help=f"one for each core ({PROCESSES})"
        )
        parser.add_argument(
            "--max-megabytes",
            type=int,
            default=MAX_MEGABYTES,
            help=f"memory above which a process is replaced ({MAX_MEGABYTES}); 0: none is",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["processes"] < 1:
            raise CommandError("--processes must be at least 1.")
        if options["max_megabytes"] < 0:
            raise CommandError("--max-megabytes must not be negative.")
        if not 0 < options["port"] < 65536:
            raise CommandError("--port must be from 1 to 65535.")
        serving = Serving(
            options["host"],
            options["port"],
            processes=options["processes"],
            kill_seconds=max(1, math.ceil(settings.SHUTDOWN_GRACE_SECONDS)),
            max_megabytes=options["max_megabytes"] or None,
        )
        sys.stdout.flush()
        # Becomes it, rather than starting it: signals reach it, and its exit code is ours.
        os.execv(sys.executable, serving.command())
