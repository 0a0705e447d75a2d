"""`manage.py queue`: how full each lane is, and holding lanes, organizations or everything back."""

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from apps.accounts.models import Organization, User
from apps.accounts.names import one_line
from apps.core.commands import OwnCommand
from apps.queue.board import HELD, RETRYING, RUNNING, WAITING, LaneOnBoard, QueueNow, read_board
from apps.queue.lanes import lane_names
from apps.queue.models import Pause
from apps.queue.pauses import pause, resume

MAX_REASON = 200
HEAD = ("Lane", "Waiting", "Later", "Held", "Running", "Limit", "Paused")


class Command(OwnCommand):
    help = """Show how full each lane is, or pause and resume a lane, an organization or everything.

  manage.py queue
  manage.py queue pause --lane ocr --reason "The disk is being exchanged"
  manage.py queue resume --lane ocr

No file of what is paused starts; what runs goes on to its end. Bulk actions and other background
work are not held back. Without --lane it is every lane, without --organization all of them.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "do", nargs="?", default="show", choices=["show", "pause", "resume"], help="(show)"
        )
        parser.add_argument("--lane", choices=lane_names(), default="", help="only this lane")
        parser.add_argument("--organization", type=UUID, metavar="ID", help="only this one's work")
        parser.add_argument("--reason", help="why it is paused, as those who wait are told")
        parser.add_argument(
            "--user",
            metavar="EMAIL",
            help="who does it; default: nobody by name",
        )
        parser.add_argument("--json", action="store_true", help="answer one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reason"] is not None and options["do"] != "pause":
            raise CommandError("--reason goes with pause.")
        if options["do"] != "show":
            self._change(options)
        board = read_board()
        told = json.dumps(_json(board), indent=2) if options["json"] else _table(board)
        self.stdout.write(told)

    def _change(self, options: dict[str, Any]) -> None:
        what: dict[str, Any] = {
            "by": _user(options["user"]),
            "lane": options["lane"],
            "organization": _organization(options["organization"]),
        }
        if options["do"] == "pause":
            pause(**what, reason=_reason(options["reason"] or ""))
        elif not resume(**what):
            self.stderr.write("There was no such pause.", str)


def _reason(text: str) -> str:
    reason = one_line(text)
    if len(reason) > MAX_REASON:
        raise CommandError(f"--reason takes at most {MAX_REASON} characters.")
    return reason


def _user(email: str | None) -> User | None:
    if email is None:
        return None
    user = User.objects.filter(email=User.objects.normalize_email(email)).first()
    if user is None:
        raise CommandError(f"There is no user {email}.")
    return user


def _organization(organization_id: UUID | None) -> Organization | None:
    if organization_id is None:
        return None
    organization = Organization.objects.filter(pk=organization_id).first()
    if organization is None:
        raise CommandError("There is no such organization.")
    return organization


def _table(board: QueueNow) -> str:
    """A line for each lane, and under them the pauses of organizations."""
    rows = [HEAD, *(_cells(lane) for lane in board.lanes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD) - 1)]
    lines = ["  ".join([*_aligned(row, widths), row[-1]]).rstrip() for row in rows]
    theirs = [each for each in board.pauses if each.organization_id is not None]
    return "\n".join([*lines, *(f"{_what(each)}: {_words(each)}" for each in theirs)])


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    first, *numbers = zip(row, widths, strict=False)
    return [first[0].ljust(first[1]), *(text.rjust(width) for text, width in numbers)]


def _cells(lane: LaneOnBoard) -> tuple[str, ...]:
    counts = (str(lane.total(what)) for what in (WAITING, RETRYING, HELD, RUNNING))
    return (lane.name, *counts, str(lane.limit), "; ".join(map(_words, lane.pauses)))


def _what(each: Pause) -> str:
    lane = f"Lane {each.lane}" if each.lane else "Every lane"
    return f"{lane} of {_visible(str(each.organization))} ({each.organization_id})"


def _words(each: Pause) -> str:
    """By whom, why, and until when."""
    by = f" by {each.paused_by}" if each.paused_by else ""
    until = f" until {each.until:%Y-%m-%d %H:%M} UTC" if each.until else ""
    reason = f": {_visible(each.reason)}" if each.reason else ""
    return f"paused{by}{until}{reason}"


def _visible(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _json(board: QueueNow) -> dict[str, Any]:
    return {
        "lanes": [
            {
                "name": lane.name,
                "waiting": lane.total(WAITING),
                "retry_wait": lane.total(RETRYING),
                "held": lane.total(HELD),
                "running": lane.total(RUNNING),
                "limit": lane.limit,
                "limit_per_organization": lane.limit_per_organization,
                "waits_since": lane.waits_since.isoformat() if lane.waits_since else None,
                "is_paused": bool(lane.pauses),
            }
            for lane in board.lanes
        ],
        "pauses": [
            {
                "lane": each.lane,
                "organization": str(each.organization_id) if each.organization_id else None,
                "by": each.paused_by.email if each.paused_by else None,
                "reason": each.reason,
                "since": each.created_at.isoformat(),
                "until": each.until.isoformat() if each.until else None,
            }
            for each in board.pauses
        ],
    }
