"""What can be put right in the queue by itself, for `inspection`; each may run at any time."""

from collections.abc import Callable

from django.db.models.functions import Now

from apps.queue import inspection
from apps.queue.findings import Promise
from apps.queue.handlers import handler_classes
from apps.queue.retry import FailureClass
from apps.queue.sweep import take_back_lost

Mender = Callable[[], int]
"""Puts right what it finds; how much that was."""


def take_back() -> int:
    """Takes back every row whose lease has run out; those that somebody has locked stay."""
    total = 0
    while taken := take_back_lost():
        total += taken
    return total


def close_stray_attempts() -> int:
    """Closes attempts by which no row runs: a lease is given once, so none ever will again."""
    return sum(
        handler.attempt_model.objects.filter(
            pk__in=inspection.stray_attempts(handler).values("pk")
        ).update(
            ended_at=Now(),
            outcome="retry",
            failure_class=FailureClass.LOST,
            code="queue.lost",
            detail="The attempt was left open; its row does not run by it.",
        )
        for handler in handler_classes()
    )


def forget_dead_workers() -> int:
    """Deletes the rows of workers that do not show themselves; one that lives comes back."""
    return inspection.dead_workers().delete()[0]


def delete_expired_pauses() -> int:
    """Deletes pauses that hold nothing back any more."""
    return inspection.expired_pauses().delete()[0]


MENDERS: dict[Promise, tuple[str, Mender]] = {
    inspection.STUCK: ("take back rows whose lease ran out", take_back),
    inspection.OPEN_ATTEMPTS: ("close attempts of rows that do not run", close_stray_attempts),
    inspection.DOUBLED: ("close attempts of rows that do not run", close_stray_attempts),
    inspection.DEAD: ("forget dead workers", forget_dead_workers),
    inspection.PAUSES: ("delete expired pauses", delete_expired_pauses),
}
"""By what is broken: what is done about it, in words and in fact."""
