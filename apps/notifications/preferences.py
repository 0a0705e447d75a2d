"""What a person wants to be told, where, and when a mail of it is due: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

DAILY_HOUR = 6
"""Of the day, in the zone of the moment that is given: UTC here."""


class Mail(StrEnum):
    """Whether mails are sent: never, as soon as there is something, or one for all of an hour or a
    day."""

    NEVER = "never"
    AT_ONCE = "at_once"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True)
class Choice:
    """Of one kind: whether it is in the list and counts, whether it is mailed, and whether the
    webhooks of the organization are told of it."""

    in_app: bool = True
    mail: Mail = Mail.NEVER
    webhook: bool = False

    @property
    def is_nothing(self) -> bool:
        return not (self.in_app or self.webhook) and self.mail is Mail.NEVER


Choices = Mapping[str, Mapping[str, Any]]
"""Kind -> what somebody chose otherwise than is usual, as it is stored."""


def choice_of(choices: Choices | None, kind: str) -> Choice:
    """What was chosen for `kind`; mails are sent to those only who ask for them.

    What another version stored and this one does not know is no reason for a job not to end.
    """
    chosen = (choices or {}).get(kind, {})
    mail = chosen.get("mail")
    return Choice(
        bool(chosen.get("in_app", True)),
        Mail(mail) if mail in set(Mail) else Mail.NEVER,
        bool(chosen.get("webhook", False)),
    )


def due_at(mail: Mail, now: datetime) -> datetime | None:
    """When a mail of what happens at `now` goes out; None for never."""
    if mail is Mail.NEVER:
        return None
    if mail is Mail.AT_ONCE:
        return now
    hour = now.replace(minute=0, second=0, microsecond=0)
    if mail is Mail.HOURLY:
        return hour + timedelta(hours=1)
    morning = hour.replace(hour=DAILY_HOUR)
    return morning if morning > now else morning + timedelta(days=1)
