"""Which lanes there are, how much of each may run at once, and where a new row stands in line."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Min, QuerySet
from django.db.models.functions import Now

from apps.accounts.models import Organization, User
from apps.audit.services import record
from apps.queue.handlers import handler_classes
from apps.queue.models import FairShare, Lane, LeasedRow, Pause, in_seconds

HEAVY = "heavy"
NEAR = 50
"""Rows at the front of a line that are looked at for where it is: a submission must not read all
that a paused organization has waiting."""


def lane_names() -> list[str]:
    return list(settings.QUEUE_LANES)


def running_count(lane: str) -> int:
    """How many rows of `lane` run now, over all handlers."""
    return sum(h.model.objects.running().filter(lane=lane).count() for h in handler_classes())


def due_count(lane: str, limit: int) -> int:
    """How many rows of `lane` could start now, counted up to `limit`."""
    pauses = Pause.objects.in_force().filter(lane__in=("", lane))
    paused = list(pauses.values_list("organization_id", flat=True))
    found = 0
    for handler in handler_classes():
        if not handler.is_on():
            continue
        waiting = handler.model.objects.claimable(lane)
        if handler.is_pausable and paused:
            waiting = waiting.none() if None in paused else waiting.exclude(organization__in=paused)
        found += len(waiting.values_list("pk")[:limit])
    return found


def free_places(lane: str) -> int:
    """How many more rows of `lane` may run at once now; pauses are no matter of places."""
    row = Lane.objects.filter(name=lane).first()
    limit = settings.QUEUE_LANES[lane]
    if row is not None and row.max_running is not None:
        limit = row.max_running
    return int(max(0, limit - running_count(lane)))


@transaction.atomic
def set_limits(
    *, by: User, lane: str, max_running: int | None, max_running_per_organization: int | None
) -> Lane:
    """How many rows of `lane` may run at once, over all workers and of one organization; None is
    the setting's for the first, and none for the second. What runs goes on.

    Raises ValueError for a lane that does not exist.
    """
    if lane not in lane_names():
        raise ValueError(f"There is no lane {lane}.")
    limits = {
        "max_running": max_running,
        "max_running_per_organization": max_running_per_organization,
    }
    row, _ = Lane.objects.update_or_create(name=lane, defaults=limits)
    record(
        organization=None,
        actor=by,
        action="queue.limit",
        target="lane",
        target_id=lane,
        detail=limits,
    )
    return row


def pause_for(lane: str, *, seconds: float, reason: str) -> None:
    """Claims nothing from `lane` for `seconds`; it goes on by itself afterwards.

    A pause that an operator made, or that lasts longer, stays as it is.
    """
    pause, is_new = Pause.objects.get_or_create(
        lane=lane,
        organization=None,
        defaults={"until": in_seconds(seconds), "reason": reason[:200]},
    )
    if not is_new:
        Pause.objects.filter(pk=pause.pk, until__lt=in_seconds(seconds)).update(
            until=in_seconds(seconds), reason=reason[:200], paused_by=None, created_at=Now()
        )


def take_ranks(
    model: type[LeasedRow], *, organization: Organization, lane: str, priority: int, count: int
) -> list[float]:
    """`count` fair ranks for new rows of `organization`, to be stored in this transaction.

    Start-time fair queuing: an organization's rows stand one apart, from the place that the line
    has reached now. So one that brings 5 files is served among one that brought 500 before.
    """
    share, _ = FairShare.objects.select_for_update().get_or_create(
        organization=organization, lane=lane, priority=priority
    )
    start = max(share.last_rank, _reached(model, lane, priority, near=NEAR))
    FairShare.objects.filter(pk=share.pk).update(last_rank=start + count)
    return [start + position for position in range(1, count + 1)]


def catch_up(rows: QuerySet[Any], *, organization: Organization, lane: str, priority: int) -> None:
    """`rows` of one line, which were held back and are about to go on, keep their order and stand
    beside what is next in line now: not before all that others brought since, for as long as they
    are. In the caller's transaction, while they are held still."""
    first = rows.aggregate(rank=Min("fair_rank"))["rank"]
    behind = 0.0 if first is None else _reached(rows.model, lane, priority) + 1 - first
    if behind <= 0:
        return
    share, _ = FairShare.objects.select_for_update().get_or_create(
        organization=organization, lane=lane, priority=priority
    )
    rows.update(fair_rank=F("fair_rank") + behind)
    last = rows.aggregate(rank=Max("fair_rank"))["rank"]
    FairShare.objects.filter(pk=share.pk, last_rank__lt=last).update(last_rank=last)


def _reached(model: type[LeasedRow], lane: str, priority: int, *, near: int | None = None) -> float:
    """The rank behind which a new row stands beside what is next in line.

    Organizations that are paused stand still and the line does not: what they have waiting says
    nothing about it. Where nothing else is found among the first `near`, what runs does, and else
    the end of the line.
    """
    pauses = Pause.objects.in_force().filter(lane__in=("", lane)).exclude(organization=None)
    paused = set(pauses.values_list("organization_id", flat=True))
    waiting = model.objects.claimable(lane).filter(priority=priority)
    front = waiting[:near] if near else waiting.exclude(organization__in=paused)[:1]
    for organization_id, rank in front.values_list("organization_id", "fair_rank"):
        if organization_id not in paused:
            return float(rank) - 1
    running = model.objects.running().filter(lane=lane, priority=priority).order_by()
    given = FairShare.objects.filter(lane=lane).aggregate(rank=Max("last_rank"))["rank"]
    return float(running.aggregate(rank=Max("fair_rank"))["rank"] or given or 0.0)
