"""`manage.py create_admin`: a user with every right in the admin, or who may see all of it."""

import getpass
import json
import secrets
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from apps.accounts.services import COMMAND_LINE, sign_up
from apps.accounts.viewers import make_viewer
from apps.core.commands import OwnCommand
from apps.core.errors import DocmillError

GENERATED_PASSWORD_BYTES = 18


class Command(OwnCommand):
    help = """Make a user who may do everything in the admin; with --read-only, see everything.

Asks for what is not given when it runs in a terminal, and fails when it does not.

  manage.py create_admin --email admin@example.com --generate
  manage.py create_admin --email oncall@example.com --generate --read-only
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", help="the address to sign in with")
        password = parser.add_mutually_exclusive_group()
        password.add_argument("--password", help="visible to others in the list of processes")
        password.add_argument(
            "--generate", action="store_true", help="make a password and print it, once"
        )
        parser.add_argument(
            "--read-only", action="store_true", help="may open every page there and change nothing"
        )
        parser.add_argument("--json", action="store_true", help="answer one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"] or _ask("E-mail address: ", "--email")
        generated = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES) if options["generate"] else None
        password = generated or options["password"] or _ask_password()
        is_viewer = options["read_only"]
        try:
            with transaction.atomic():
                user = sign_up(
                    email=email,
                    password=password,
                    is_staff=True,
                    is_superuser=not is_viewer,
                    by=COMMAND_LINE,
                )
                if is_viewer:
                    make_viewer(user=user)
        except DocmillError as error:
            raise CommandError(f"{error} No user was made.") from error
        if options["json"]:
            answer = {"email": user.email}
            if generated:
                answer["password"] = generated
            self.stdout.write(json.dumps(answer))
            return
        what = "read-only operator" if is_viewer else "admin"
        self.stdout.write(f"Made the {what} {user.email}.")
        if generated:
            self.stdout.write(f"Password, shown only now: {generated}")


def _ask(prompt: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError(f"Nobody is there to ask: give {option}.")
    return input(prompt)


def _ask_password() -> str:
    if not sys.stdin.isatty():
        raise CommandError("Nobody is there to ask: give --generate or --password.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise CommandError("The two passwords differ. No user was made.")
    return password
