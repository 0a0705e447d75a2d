import signal
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.core.commands import ServiceCommand
from apps.queue import celery_worker, drain, loop, worker
from apps.queue.lanes import lane_names


class Command(ServiceCommand):
    help = (
        "Works on queued files until stopped. "
        "Example: manage.py work --lanes default,ocr --slots 3. "
        "SIGTERM lets running files finish within SHUTDOWN_GRACE_SECONDS and hands back the rest."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lanes", help="comma-separated; default: all")
        parser.add_argument("--slots", type=int, default=3, help="files at a time (default 3)")
        parser.add_argument("--parent", type=int, help=SUPPRESS)  # a worker's own fallback
        parser.add_argument(
            "--pulse",
            type=Path,
            metavar="FILE",
            help="touched while it runs; see docs/deployment.md",
        )
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--loop", action="store_true", help="poll SQL, with no broker, until stopped"
        )
        mode.add_argument(
            "--once", action="store_true", help="run from SQL all that can start now, then end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lanes = options["lanes"].split(",") if options["lanes"] else lane_names()
        if unknown := sorted(set(lanes) - set(lane_names())):
            raise CommandError(f"No such lane: {', '.join(unknown)}. Lanes: {lane_names()}")
        if options["slots"] < 1:
            raise CommandError("--slots must be at least 1.")
        worker.see_tables()
        drain.reset()
        if not (options["loop"] or options["once"]):
            from celery import current_app

            celery_worker.run(current_app, lanes, options["slots"], options["pulse"])
            return
        signal.signal(signal.SIGTERM, lambda *_: drain.begin())
        signal.signal(signal.SIGINT, lambda *_: drain.begin())
        if options["once"]:
            self.stdout.write(f"{loop.work_once(lanes)} run")
        else:
            loop.work_until_drained(lanes, options["slots"], options["parent"], options["pulse"])
