"""Which lanes there are, how much of each may run at once, and where a new row stands in line."""

from django.conf import settings
from django.db.models import Max, Min, Q
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.queue.handlers import handler_classes
from apps.queue.models import FairShare, Lane, LeasedRow, in_seconds

HEAVY = "heavy"


def lane_names() -> list[str]:
    return list(settings.QUEUE_LANES)


def running_count(lane: str) -> int:
    """How many rows of `lane` run now, over all handlers."""
    return sum(h.model.objects.running().filter(lane=lane).count() for h in handler_classes())


def due_count(lane: str, limit: int) -> int:
    """How many rows of `lane` could start now, counted up to `limit`."""
    return sum(len(h.model.objects.claimable(lane)[:limit]) for h in handler_classes())


def free_places(lane: str) -> int:
    """How many more rows of `lane` may start now; 0 while the lane is paused."""
    row = Lane.objects.filter(name=lane).first()
    limit = settings.QUEUE_LANES[lane]
    if row is not None:
        paused = Lane.objects.filter(Q(is_paused=True) | Q(paused_until__gt=Now()), name=lane)
        if paused.exists():
            return 0
        if row.max_running is not None:
            limit = row.max_running
    return int(max(0, limit - running_count(lane)))


def pause_for(lane: str, *, seconds: float, reason: str) -> None:
    """Claims nothing from `lane` for `seconds`; it goes on by itself afterwards."""
    Lane.objects.update_or_create(
        name=lane, defaults={"paused_until": in_seconds(seconds), "reason": reason[:200]}
    )


def take_ranks(
    model: type[LeasedRow], *, organization: Organization, lane: str, priority: int, count: int
) -> list[float]:
    """`count` fair ranks for new rows of `organization`, to be stored in this transaction.

    Start-time fair queuing: an organization's rows stand one apart, from the place that the line
    has reached now. So one that brings 5 files is served among one that brought 500 before.
    """
    share, _ = FairShare.objects.select_for_update().get_or_create(
        organization=organization, lane=lane
    )
    waiting = model.objects.claimable(lane).filter(priority=priority).order_by()
    reached = waiting.aggregate(rank=Min("fair_rank"))["rank"]
    if reached is None:
        reached = FairShare.objects.filter(lane=lane).aggregate(rank=Max("last_rank"))["rank"]
    start = max(share.last_rank, reached or 0.0)
    FairShare.objects.filter(pk=share.pk).update(last_rank=start + count)
    return [start + position for position in range(1, count + 1)]
