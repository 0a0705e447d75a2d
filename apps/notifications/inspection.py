"""Whether mails of notifications go out: looks at rows, changes nothing."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.notifications.models import Notification
from apps.queue.findings import BROKEN, WEAK, Finding, Promise
from apps.queue.models import WorkItem
from apps.queue.states import State
from apps.queue.work_items import MAILS

LATE = timedelta(minutes=10)
"""Beat puts what is due in line every few seconds; many people take it some minutes."""

WAITING = Promise(
    "mails that wait", BROKEN, "they are due and nobody puts them in line: start manage.py beat."
)
UNSENT = Promise(
    "unsent mails",
    WEAK,
    "the admin's work items say why: look at the mail server's log, then retry or leave them.",
)


def inspect() -> list[Finding]:
    late = waiting()
    # Of very many it is enough to know that they are.
    keys = [str(pk) for pk in late.values_list("pk", flat=True)[:100]]
    failed = unsent()
    codes = [f"{item.pk}: {item.error_code}" for item in failed[:3]]
    return [WAITING.finding(len(keys), keys), UNSENT.finding(failed.count(), codes)]


def waiting() -> QuerySet[Notification]:
    rows: QuerySet[Notification] = Notification.objects.filter(
        mail_due_at__lt=timezone.now() - LATE
    )
    return rows if settings.ENABLE_NOTIFICATIONS else rows.none()


def unsent() -> QuerySet[Any]:
    """Mails of every kind that ended as failed and nobody has retried."""
    mails: QuerySet[Any] = WorkItem.objects.filter(
        lane=MAILS, state__in=(State.FAILED, State.QUARANTINED)
    )
    return mails.order_by("-finished_at")
