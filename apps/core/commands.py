"""What commands for operators share: verbs, --json, and asking before something is taken away."""

import logging
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from apps.core.checks import SETTINGS
from apps.core.errors import InvalidInput, Unavailable
from apps.core.logs import JSON, LineStream
from apps.core.screens import Told, as_json, as_text

PROCESSORS = "processors"
"""Tag of the check that those can be loaded, for commands that give them work."""

Run = Callable[[dict[str, Any]], Told]


class OwnCommand(BaseCommand):
    """It starts with the checks of what operators set. Django's own are of the code, which does not
    change: they load every page, and half of the time to start went there. `manage.py check`, and
    with it `make check`, makes them all."""

    requires_system_checks: list[str] = [SETTINGS]


class OperatorCommand(OwnCommand):
    """Its help is written as it stands."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        """Does what the verb is for, and tells what came of it. Raises CommandError."""
        try:
            told = options["run"](options)
        except (InvalidInput, Unavailable) as error:
            raise CommandError(f"{error} Nothing was changed.") from None
        self.stdout.write(as_json(told) if options["json"] else as_text(told))

    def may_go_on(self, what: str, options: dict[str, Any], *, asks: bool = True) -> bool:
        """Whether to do it. Raises CommandError when the answer is no, or nobody can be asked."""
        if options["dry_run"]:
            self.stderr.write(f"Would be done: {what}.", self.style.SUCCESS)
            return False
        if options["yes"] or not asks:
            return True
        if not sys.stdin.isatty():
            raise CommandError(f"{what}? Nobody can be asked here: give --yes, or --dry-run.")
        self.stderr.write(f"{what}? [y/N] ", self.style.WARNING, ending="")
        if _typed() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")
        return True


def verb(verbs: Any, name: str, run: Run, told: str, *, changes: bool = False) -> ArgumentParser:
    """The parser of a verb, which `run` does; one that `changes` something can be asked first."""
    parser: ArgumentParser = verbs.add_parser(name, help=told, description=told)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="answer one JSON document")
    if changes:
        parser.add_argument("--reason", default="", help="kept in the audit log")
        parser.add_argument("--user", metavar="EMAIL", help="who does it; default: nobody by name")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def user_of(email: str | None) -> Any:
    """Who does it; None where nobody is named. Raises CommandError for who is not there."""
    if email is None:
        return None
    people: Any = get_user_model().objects
    user = people.filter(email=people.normalize_email(email)).first()
    if user is None:
        raise CommandError(f"There is no user {email}.")
    return user


def _typed() -> str:
    """A line from the terminal, "" where it is closed instead."""
    try:
        return input().strip().lower()
    except EOFError:
        return ""


class ServiceCommand(OwnCommand):
    """A command that runs until it is stopped, and whose output is a log: what it has to say before
    that, such as why it cannot start, is a line of the log too."""

    requires_system_checks: list[str] = [SETTINGS, PROCESSORS]

    def __init__(self, *args: Any, **options: Any) -> None:
        if settings.LOG_FORMAT == JSON:
            options.setdefault("stderr", LineStream("docmill.command", logging.ERROR))
        super().__init__(*args, **options)
