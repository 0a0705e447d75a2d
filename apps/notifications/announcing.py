"""What an operator has to say: to one person, the members of an organization, or everybody."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Membership, Organization, User
from apps.accounts.names import one_line
from apps.audit.services import record
from apps.core.errors import FieldError, InvalidInput
from apps.notifications.errors import require_enabled
from apps.notifications.kinds.message import MESSAGE
from apps.notifications.preferences import choice_of
from apps.notifications.services import Listener, write

MAX_TITLE = 200
MAX_TEXT = 2000
MAX_KEY = 60
TOGETHER = 500
"""People who are told by one statement."""


@dataclass(frozen=True)
class Message:
    """`key` names it: whoever was told it is not told it again, and one that is told anew with
    another title or text takes its place."""

    key: str
    title: str
    text: str

    @classmethod
    def of(cls, *, key: str, title: str, text: str) -> "Message":
        """Cleaned. Raises InvalidInput."""
        lines = "\n".join(map(one_line, text.replace("\r\n", "\n").split("\n"))).strip()
        message = cls(one_line(key), one_line(title), lines)
        for field, most in (("key", MAX_KEY), ("title", MAX_TITLE), ("text", MAX_TEXT)):
            length = len(getattr(message, field))
            if length > most or (field != "text" and not length):
                detail = f"{field} takes 1 to {most} characters; this has {length}."
                raise InvalidInput(detail, errors=[FieldError(field, "invalid", detail)])
        return message


def people_in(organization: Organization | None) -> QuerySet[Membership]:
    """Who is told, in the order of their ids: the members of `organization`, or everybody, each as
    of the organization that is theirs alone."""
    found = Membership.objects.filter(user__is_active=True).order_by("user_id")
    if organization is not None:
        return found.filter(organization=organization)
    return found.filter(organization__personal_of__isnull=False)


def people_named(user: User) -> QuerySet[Membership]:
    return people_in(None).filter(user=user)


def announce(*, by: User | None, message: Message, people: QuerySet[Membership]) -> int:
    """Tells `people` the message; to how many it was news. Raises NotificationsDisabled.

    In chunks, each kept at once: who is interrupted begins again with the same key.
    """
    require_enabled()
    facts, key = {"title": message.title, "text": message.text}, f"message:{message.key}"
    told, last = 0, 0
    while listeners := _after(last, people):
        told += write(kind=MESSAGE.name, key=key, facts=facts, listeners=listeners)
        last = listeners[-1].user_id
    detail: dict[str, Any] = {**facts, "key": message.key, "told": told}
    record(organization=None, actor=by, action="message.send", detail=detail)
    return told


def _after(user_id: int, people: QuerySet[Membership]) -> list[Listener]:
    """The next of `people`, each with what they chose; empty behind the last."""
    fields = ("user_id", "organization_id", "user__notification_preferences__choices")
    found = people.filter(user_id__gt=user_id).values_list(*fields)[:TOGETHER]
    return [Listener(user, org, choice_of(choices, MESSAGE.name)) for user, org, choices in found]
