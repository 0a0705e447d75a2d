"""What makes everything else safe to lose: takes back, rings again, repairs.

Runs in the beat process and in `work --loop`, needs no broker, and may run twice at once: every
step is guarded by the row it changes.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from django.db import InterfaceError, OperationalError
from django.db.models import Exists, OuterRef, QuerySet, Window
from django.db.models.functions import Now, RowNumber

from apps.queue.doorbell import live_slots, ring
from apps.queue.handlers import handler_classes
from apps.queue.lanes import due_count, free_places, lane_names
from apps.queue.models import LeasedRow, Priority, WorkerNode, in_states
from apps.queue.settle import take_back
from apps.queue.states import UNFINISHED

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 200
AGING = (
    # (from, after waiting this long, to): among high work its rank, which is older than theirs,
    # puts it in front. Behind high for good, it would wait for ever where high never ends.
    (Priority.LOW, timedelta(minutes=30), Priority.NORMAL),
    (Priority.NORMAL, timedelta(hours=2), Priority.HIGH),
)
WORKER_FORGOTTEN_AFTER = timedelta(minutes=10)


def sweep() -> None:
    """One round of everything that keeps rows moving."""
    repairs = [handler.repair for handler in handler_classes()]
    _do_all([take_back_lost, *repairs, ring_for_due])


def take_back_lost() -> int:
    """Takes back rows whose lease has run out; how many it took."""
    return sum(
        _do_all(
            [
                partial(take_back, handler, pk)
                for handler in handler_classes()
                for pk in handler.model.objects.lost().values_list("pk", flat=True)[:BATCH]
            ]
        )
    )


def _do_all(steps: Iterable[Callable[[], T]]) -> list[T]:
    """What the steps return, each done whatever becomes of the others: one row that cannot be
    written must not keep all others waiting. Raises the first error, at the end; at once where the
    database is away."""
    done, errors = [], []
    for step in steps:
        try:
            done.append(step())
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("a step of the sweep failed; going on")
            errors.append(error)
    if errors:
        raise errors[0]
    return done


def ring_for_due() -> None:
    """Rings for rows that are due while places are free: their doorbell was lost, or is due now."""
    for lane in lane_names():
        # With nobody there to hear it, a doorbell would only pile up in the broker.
        if not live_slots(lane):
            continue
        if (free := free_places(lane)) and (due := due_count(lane, free)):
            ring(lane, due)


def raise_priorities() -> int:
    """Lifts what has waited long, so that low priority never starves; how many rows it lifted.

    Of each organization's line one row at a time, and the next when that one has ended. All of a
    long line at once would stand before what others bring later, for as long as the line is.
    """
    lifted = 0
    for handler in handler_classes():
        for old, waited, new in AGING:
            first = list(_first_in_line(handler.model, old, waited, new))
            waiting = handler.model.objects.ready().filter(pk__in=first, priority=old)
            lifted += waiting.update(priority=new)
    return lifted


def _first_in_line(
    model: type[LeasedRow], old: Priority, waited: timedelta, new: Priority
) -> QuerySet[LeasedRow]:
    """The ids of the first rows of `old` priority that have waited so long since they could start,
    one for each lane and organization; none where one lifted before waits or runs still."""
    place = Window(RowNumber(), partition_by=("lane", "organization"), order_by=("fair_rank", "id"))
    ready = model.objects.ready().filter(is_held=False, priority=old)
    first = ready.filter(available_at__lt=Now() - waited).annotate(place=place).filter(place=1)
    before = model.objects.filter(
        in_states(UNFINISHED),
        lane=OuterRef("lane"),
        organization=OuterRef("organization"),
        priority=new,
        is_held=False,
        available_at__lte=Now(),
        fair_rank__lt=OuterRef("fair_rank"),
    )
    there = model.objects.filter(pk__in=first.values("pk")).exclude(Exists(before))
    ids: QuerySet[LeasedRow] = there.values_list("pk", flat=True)
    return ids


def forget_workers() -> int:
    """Deletes the rows of workers that are long gone; their leases have run out by then."""
    gone = WorkerNode.objects.filter(seen_at__lt=Now() - WORKER_FORGOTTEN_AFTER)
    deleted, _ = gone.delete()
    return deleted
