"""`manage.py notify`: an operator's message to people."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from apps.accounts.models import Organization
from apps.core.commands import OperatorCommand, user_of
from apps.core.ids import uuid7
from apps.core.screens import Told
from apps.notifications.announcing import Message, announce, people_in, people_named
from apps.notifications.errors import require_enabled


class Command(OperatorCommand):
    help = """Tell one person, the members of an organization, or everybody something.

  manage.py notify --user nora@example.com --title "Your scans" --text "They are on the shelf."
  manage.py notify --organization 0190a1b2-... --title "New retention: 90 days"
  manage.py notify --all --key move-2027 --title "We move on Friday" --text "Back on Monday."
  manage.py notify --all --key move-2027 --title "We have moved" --yes
  manage.py notify --all --title "A test" --dry-run --json

It is in their lists and on their bells, and mailed to who wants that mailed. With --key, running
it again tells nobody twice what they were told: so one that was interrupted can be run again, and
a new text takes the place of the old one. The message is in the audit log.

Exit code 0: done, 1: nothing was told, and why, 2: the command was not understood.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.set_defaults(run=self._notify)
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument("--user", metavar="EMAIL", help="one person")
        whom.add_argument("--organization", metavar="ID", help="all members of an organization")
        whom.add_argument("--all", action="store_true", help="everybody")
        parser.add_argument("--title", required=True, help="1 to 200 characters")
        parser.add_argument("--text", default="", help="up to 2000 characters, in several lines")
        parser.add_argument("--key", default="", help="names the message; default: one of its own")
        parser.add_argument("--by", metavar="EMAIL", help="who says so; default: nobody by name")
        parser.add_argument("--dry-run", action="store_true", help="only say who would be told")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def _notify(self, options: dict[str, Any]) -> Told:
        require_enabled()
        key = options["key"] or str(uuid7())
        message = Message.of(key=key, title=options["title"], text=options["text"])
        by = user_of(options["by"])
        people = self._people(options)
        count = people.count()
        if not count:
            raise CommandError("There is nobody to tell.")
        what = f"Tell {count} {'person' if count == 1 else 'people'}: {message.title}"
        done = self.may_go_on(what, options, asks=not options["user"])
        told = announce(by=by, message=message, people=people) if done else 0
        row = {"key": message.key, "people": count, "told": told, "done": done}
        return Told("messages", [row])

    def _people(self, options: dict[str, Any]) -> Any:
        if options["user"]:
            return people_named(user_of(options["user"]))
        if options["all"]:
            return people_in(None)
        try:
            organization = Organization.objects.filter(pk=UUID(options["organization"])).first()
        except ValueError:
            organization = None
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}.")
        return people_in(organization)
