import signal
import sys
from pathlib import Path
from typing import Any

from celery import current_app
from celery.beat import Service
from django.core.management.base import CommandParser

from apps.core.commands import ServiceCommand
from apps.queue.schedule import InlineScheduler
from apps.queue.worker import see_tables


class Command(ServiceCommand):
    help = (
        "Runs recurring work (settings: CELERY_BEAT_SCHEDULE) on time: takes back lost files, "
        "rings for waiting ones. One beat is needed, more do no harm. Example: manage.py beat"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--pulse",
            type=Path,
            metavar="FILE",
            help="touched while it runs; see docs/deployment.md",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        see_tables()

        class Beating(InlineScheduler):
            pulse_file = options["pulse"]

        service = Service(current_app, scheduler_cls=Beating)

        def end(*_: object) -> None:
            service.stop()  # what follows may be swallowed, where a callback of weakref runs
            sys.exit(0)

        signal.signal(signal.SIGTERM, end)
        service.start()
