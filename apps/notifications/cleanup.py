"""Notifications that nobody needs any more."""

import logging
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.accounts.models import User
from apps.notifications.models import Notification
from apps.queue.inspection import id_ranges

logger = logging.getLogger(__name__)

CHUNK = 1000
LATELY = timedelta(days=7)
NOBODYS = ~Exists(User.objects.filter(pk=OuterRef("user_id")))


def forget_old() -> int:
    """Removes what is too old, read or not, and what is nobody's; how many. In chunks, each a short
    transaction; any number may run at once."""
    gone = _remove(too_old())
    lately = made_lately()
    for portion in id_ranges(lately, CHUNK):
        gone += _remove(lately.filter(portion).filter(NOBODYS))
    logger.info("removed %d old notifications", gone)
    return gone


def too_old() -> QuerySet[Notification]:
    """By when they were told last. What was told so long ago was made before that, which its id
    says: by it they are found."""
    then = timezone.now() - timedelta(days=settings.NOTIFICATION_RETENTION_DAYS)
    rows: QuerySet[Notification] = Notification.objects.filter(
        pk__lt=_first_id(then), told_at__lt=then
    )
    return rows.order_by("pk")


def made_lately() -> QuerySet[Notification]:
    """Among these are the ones that were told to people who were being deleted at that moment:
    earlier ones went with them. What is not found in a week goes when it is too old."""
    rows: QuerySet[Notification] = Notification.objects.filter(
        pk__gte=_first_id(timezone.now() - LATELY)
    )
    return rows


def _first_id(moment: datetime) -> uuid.UUID:
    """Of what is made from then on."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def _remove(rows: QuerySet[Notification]) -> int:
    removed = 0
    while ids := list(rows.values_list("pk", flat=True)[:CHUNK]):
        removed += Notification.objects.filter(pk__in=ids).delete()[0]
    return removed
