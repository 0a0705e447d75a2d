"""Mails of what people were told: one piece of work for each recipient, and nothing sent twice.

Rows that are due are handed over to a piece of work in the lane `email`. It notes that it is about
to send, sends, and notes that it has. One that finds that an earlier try was about to, and never
said what came of it, sends nothing: it ends as failed, and an operator decides.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from smtplib import (
    SMTPException,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import get_connection
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.metrics import external_call
from apps.notifications.letters import SHOWN, letter
from apps.notifications.models import Notification
from apps.notifications.preferences import Mail, choice_of
from apps.queue.handlers import Control, RunFailed
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.work_items import MAILS, step, submit_work

logger = structlog.stdlib.get_logger(__name__)

KIND = "mail.notifications"
ROWS = 1000
"""Looked at for who is due, each time: beat has more to do than this."""
PEOPLE = 200
"""Served each time."""
IN_ONE = 5000
"""Notifications that one mail tells of; the next tells of the others."""
FIRST_WAIT_SECONDS = 30
LONGEST_WAIT_SECONDS = 3600
PUT_OFF, REFUSED = 400, 500
"""Answers of a mail server from there on: those below REFUSED may pass (RFC 5321, 4.2.1)."""


def hand_over() -> int:
    """Puts what is due in line, a mail for each person; how many. Any number may run at once."""
    if not settings.ENABLE_NOTIFICATIONS:
        return 0
    now = timezone.now()
    due = Notification.objects.filter(mail_due_at__lte=now).order_by("mail_due_at")
    users = dict.fromkeys(due.values_list("user_id", flat=True)[:ROWS])
    return sum(_hand_over(user_id, now) for user_id in [*users][:PEOPLE])


@transaction.atomic
def _hand_over(user_id: int, now: datetime) -> int:
    mine = Notification.objects.filter(user=user_id, mail_due_at__lte=now)
    # Who is being told something new at this moment is not waited for: the next look has it.
    ids = list(mine.select_for_update(skip_locked=True).values_list("pk", flat=True)[:IN_ONE])
    if not ids:
        return 0
    title, payload = "Mail: notifications", {"user": user_id}
    item, _ = submit_work(by=None, kind=KIND, title=title, payload=payload, lane=MAILS)
    Notification.objects.filter(pk__in=ids).update(mail=item.pk, mail_due_at=None)
    return 1


def send(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails the item's person what it was handed. Raises RunFailed."""
    if "sent" in item.result:
        return dict(item.result)
    if item.result.get("trying") == item.run:
        raise RunFailed(_unsure())
    user = User.objects.filter(pk=item.payload["user"], is_active=True).first()
    rows = wanted(user, item.pk) if user else []
    if user is None or not rows:
        return {"sent": 0}
    message = letter(user, rows, name=f"{item.pk}.{item.run}")
    message.message()  # what cannot be written fails here, before anything is noted
    with _server(item) as server:
        _note(item, {"trying": item.run})
        try:
            server.send_messages([message])
        except (OSError, SMTPException) as error:
            raise RunFailed(_what_came_of(item, error)) from None
    with step(item):
        item.result = {"sent": len(rows)}
        handed = Notification.objects.filter(mail=item.pk)
        handed.update(mail=None, mailed_at=timezone.now())
    logger.info("mail sent", user=str(user.pk), told=len(rows), request_ids=request_ids(rows))
    return dict(item.result)


def request_ids(rows: Sequence[Notification]) -> list[str]:
    """Of the requests that `rows` come from, each once, the newest first: the mail's own work comes
    from none of them. As many as are told of in words."""
    return [*dict.fromkeys(row.request_id for row in rows if row.request_id)][:SHOWN]


def wanted(user: User, mail: UUID) -> list[Notification]:
    """Of what was handed to `mail`, what `user` still wants to be mailed: not what they have read
    by now, nor what is of an organization that they left, the newest first."""
    if not settings.ENABLE_NOTIFICATIONS:
        return []
    mine = Notification.objects.filter(mail=mail, user=user).visible_to(user)
    preferences = getattr(user, "notification_preferences", None)
    choices = preferences.choices if preferences else None
    return [
        row
        for row in mine.select_related("organization").order_by("-told_at", "-id")
        if choice_of(choices, row.kind).mail != Mail.NEVER and not (row.is_shown and row.read_at)
    ]


@contextmanager
def _server(item: WorkItem) -> Iterator[Any]:
    """A connection to the mail server. Raises RunFailed where there is none: nothing was sent."""
    server = get_connection()
    with external_call("mail"):
        try:
            server.open()
        except (OSError, SMTPException) as error:
            raise RunFailed(_later(item, error)) from None
        try:
            yield server
        finally:
            server.close()


def _what_came_of(item: WorkItem, error: Exception) -> Failure:
    """Of a mail that was being sent. What the server said no to was not sent."""
    code = _code(error)
    if code is None:
        return _unsure()
    _note(item, {})
    if code >= REFUSED:
        detail = f"The mail server refused it for good ({code})."
        return Failure(FailureClass.PERMANENT, "work.mail_refused", detail)
    return _later(item, error)


def _code(error: Exception) -> int | None:
    """The server's answer, None where it gave none. What was raised may quote the address."""
    if isinstance(error, SMTPSenderRefused):
        return PUT_OFF  # not the mail's fault, but that of who set up the server
    if isinstance(error, SMTPRecipientsRefused):
        return min((code for code, _ in error.recipients.values()), default=REFUSED)
    if isinstance(error, SMTPNotSupportedError):
        return REFUSED  # an address that it cannot write
    return int(error.smtp_code) if isinstance(error, SMTPResponseException) else None


def _later(item: WorkItem, error: Exception) -> Failure:
    """Tried again less and less often, for as long as it takes."""
    wait = min(FIRST_WAIT_SECONDS * 2 ** min(item.attempts, 10), LONGEST_WAIT_SECONDS)
    detail = f"The mail server did not take it ({type(error).__name__})."
    why = FailureClass.RATE_LIMITED
    return Failure(why, "work.mail_server", detail, retry_after=wait)


def _unsure() -> Failure:
    detail = (
        "It broke off while the mail was being handed to the mail server, which may have it or "
        "not. It is not sent again by itself: look at the server's log, then retry or leave it."
    )
    return Failure(FailureClass.PERMANENT, "work.mail_unsure", detail)


def _note(item: WorkItem, result: dict[str, Any]) -> None:
    with step(item):
        item.result = result
