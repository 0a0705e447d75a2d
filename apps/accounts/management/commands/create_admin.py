"""`manage.py create_admin`: a user with every right in the admin."""

import getpass
import json
import secrets
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.services import create_user
from apps.core.errors import DocmillError

GENERATED_PASSWORD_BYTES = 18


class Command(BaseCommand):
    help = """Make a user who may do everything in the admin.

Asks for what is not given when it runs in a terminal, and fails when it does not.

  manage.py create_admin --email admin@example.com --generate
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
        parser.add_argument("--json", action="store_true", help="answer one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"] or _ask("E-mail address: ", "--email")
        generated = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES) if options["generate"] else None
        password = generated or options["password"] or _ask_password()
        try:
            user = create_user(email=email, password=password, is_staff=True, is_superuser=True)
        except DocmillError as error:
            raise CommandError(f"{error} No user was made.") from error
        if options["json"]:
            answer = {"email": user.email}
            if generated:
                answer["password"] = generated
            self.stdout.write(json.dumps(answer))
            return
        self.stdout.write(f"Made the admin {user.email}.")
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
