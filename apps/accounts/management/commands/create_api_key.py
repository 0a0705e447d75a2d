"""`manage.py create_api_key`: a token for a program."""

import json
import uuid
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import give_key
from apps.core.commands import OwnCommand
from apps.core.errors import DocmillError

MAX_EXPIRY_DAYS = 3650


class Command(OwnCommand):
    help = """Make an API key for a user and print its token, once.

The token alone goes to standard output, everything else to standard error:

  KEY=$(manage.py create_api_key --user admin@example.com)
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL", help="whom the key acts for")
        parser.add_argument(
            "--organization",
            type=uuid.UUID,
            metavar="UUID",
            help="where it acts; the user's personal organization when not given",
        )
        parser.add_argument("--name", default="command line", help="what it is for")
        parser.add_argument(
            "--role",
            choices=[role.value for role in Role],
            help="the most it may do; never more than its user",
        )
        parser.add_argument(
            "--expires-days",
            type=_days,
            metavar="N",
            help=f"days it lives, 1 to {MAX_EXPIRY_DAYS}; for ever when not given",
        )
        parser.add_argument("--json", action="store_true", help="answer one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = _find_user(options["user"])
        days = options["expires_days"]
        try:
            key, token = give_key(
                organization=_find_organization(user, options["organization"]),
                user=user,
                name=options["name"],
                role=options["role"],
                expires_at=timezone.now() + timedelta(days=days) if days else None,
            )
        except DocmillError as error:
            raise CommandError(f"{error} No key was made.") from error
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(key, token)))
            return
        life = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "without expiry"
        note = (
            f"Made the API key {key} for {user.email} in {key.organization}, as {key.role}, {life}."
        )
        # Standard error is red unless told otherwise, and nothing went wrong.
        self.stderr.write(f"{note} The token is shown only now.", self.style.SUCCESS)
        self.stdout.write(token)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_EXPIRY_DAYS:
        raise ArgumentTypeError(f"a whole number from 1 to {MAX_EXPIRY_DAYS}, not {text!r}")
    return int(text)


def _find_user(email: str) -> User:
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise CommandError(f"There is no user {email}.") from None


def _find_organization(user: User, organization_id: uuid.UUID | None) -> Organization:
    mine = Organization.objects.visible_to(user)
    found = mine.filter(pk=organization_id) if organization_id else mine.filter(personal_of=user)
    organization = found.first()
    if organization is None:
        raise CommandError(f"{user.email} is not a member of such an organization.")
    return organization


def _as_json(key: ApiKey, token: str) -> dict[str, str | None]:
    return {
        "id": str(key.pk),
        "token": token,
        "prefix": key.prefix,
        "name": key.name,
        "user": key.user.email,
        "organization_id": str(key.organization_id),
        "role": key.role,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
