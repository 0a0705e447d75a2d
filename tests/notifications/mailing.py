"""Handing mails over and working them off, as beat and a worker do."""

from datetime import timedelta
from email.message import EmailMessage

from django.utils import timezone

from apps.notifications.mails import hand_over
from apps.queue.loop import work_once
from apps.queue.models import WorkItem


def deliver() -> WorkItem:
    """Hands over what is due, and works it off; the piece of work."""
    assert hand_over() == 1
    return worked()


def worked() -> WorkItem:
    WorkItem.objects.update(available_at=timezone.now() - timedelta(seconds=1))
    work_once(["email"])
    item: WorkItem = WorkItem.objects.latest("created_at")
    return item


def parts(mail: EmailMessage) -> tuple[str, str]:
    """Its text and its HTML."""
    found = [mail.get_body([kind]) for kind in ("plain", "html")]
    text, html = (part.get_content() for part in found if part is not None)
    return str(text), str(html)
