import signal
import sys
from typing import Any

from celery import current_app
from celery.beat import Service
from django.core.management.base import BaseCommand

from apps.queue.schedule import InlineScheduler


class Command(BaseCommand):
    help = (
        "Runs recurring work (settings: CELERY_BEAT_SCHEDULE) on time: takes back lost files, "
        "rings for waiting ones. One beat is needed, more do no harm. Example: manage.py beat"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        service = Service(current_app, scheduler_cls=InlineScheduler)

        def end(*_: object) -> None:
            service.stop()  # what follows may be swallowed, where a callback of weakref runs
            sys.exit(0)

        signal.signal(signal.SIGTERM, end)
        service.start()
