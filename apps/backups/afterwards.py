"""What rows from a backup need before they are an installation again: what ran does not run any
more, and what waited to be sent was most likely sent since."""

from contextlib import suppress
from pathlib import Path

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.audit.services import record
from apps.backups.archive import Head, Manifest
from apps.backups.recurring import KIND
from apps.caching.services import clear
from apps.core.errors import Unavailable
from apps.notifications.models import Notification
from apps.queue.handlers import handler_classes
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.settle import fail
from apps.queue.states import UNFINISHED
from apps.queue.work_items import MAILS, withdraw_work

INTERRUPTED = Failure(
    FailureClass.INTERRUPTED,
    "queue.interrupted",
    "It ran when the backup was made that this installation was restored from.",
)


@transaction.atomic
def settle(*, sends: bool) -> dict[str, int]:
    """Hands back what ran, ends what must not be done again, and says how much there was."""
    done = {"handed back": 0}
    for handler in handler_classes():
        for row in list(handler.model.objects.running()):
            done["handed back"] += fail(handler, row, INTERRUPTED)
    unfinished = WorkItem.objects.filter(state__in=UNFINISHED)
    not_again = Q(kind=KIND) if sends else Q(kind=KIND) | Q(lane=MAILS)
    gone = unfinished.filter(not_again)
    done["withdrawn"] = gone.count()
    withdraw_work(gone)
    if not sends:
        due = Notification.objects.filter(mail_due_at__lte=timezone.now())
        done["withdrawn"] += due.update(mail_due_at=None)
    return done


def record_restore(path: Path, head: Head) -> None:
    """In the log of the system, that its rows are from a backup."""
    detail = {"archive": path.name, "at": head.at, "version": head.version}
    record(organization=None, actor=None, action="installation.restore", detail=detail)


def forget_cached() -> None:
    """Values of rows that are gone. Redis may be away: then they end by themselves."""
    with suppress(Unavailable):
        clear(by=None, reason="restored from a backup")


def warnings_of(head: Head, manifest: Manifest) -> list[str]:
    """What somebody should know of a backup that was restored."""
    told = []
    if manifest.lost:
        told.append(
            f"The bytes of {len(manifest.lost)} files were lost before the backup was made."
        )
    if manifest.damaged:
        told.append(f"{len(manifest.damaged)} files were damaged before the backup was made.")
    if not head.has_bytes:
        told.append("The backup has no bytes: they must be where STORAGE_URL says.")
    return told
