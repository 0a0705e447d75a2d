import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.core.commands import ServiceCommand
from apps.health.embedded import UnsafeDirectory
from apps.health.instance import AlreadyRunning
from apps.health.up import CannotStart, Wish, run_up


class Command(ServiceCommand):
    help = (
        "Run everything here: broker, web, workers and recurring work, until Ctrl-C. "
        "State lives in DOCMILL_DATA_DIR. Example: manage.py up --samples samples"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="a free one near it is used")
        parser.add_argument(
            "--samples", type=Path, help="a folder of documents to submit when there is no job yet"
        )
        parser.add_argument("--slots", type=int, default=3, help="files at a time (3)")

    def handle(self, *args: Any, **options: Any) -> None:
        wish = Wish(options["host"], options["port"], options["samples"], options["slots"])
        if wish.slots < 1:
            raise CommandError("--slots must be at least 1.")
        if wish.samples and not wish.samples.is_dir():
            raise CommandError(f"There is no folder {wish.samples}.")
        try:
            code = run_up(wish)
        except AlreadyRunning as other:
            raise CommandError(
                f"Docmill runs already on this data directory: pid {other.pid or 'unknown'}, "
                f"{other.url or 'still starting'}."
            ) from None
        except (CannotStart, UnsafeDirectory) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"Cannot listen on {wish.host}:{wish.port}: {error}") from None
        if code:
            sys.exit(code)
