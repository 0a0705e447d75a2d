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
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        Service(current_app, scheduler_cls=InlineScheduler).start()
