"""Whether somebody works and looks after the queue, and nothing of it stands still.

Read in few queries that go by an index. `inspection` looks closer, and says what to do."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from apps.queue.handlers import handler_classes
from apps.queue.inspection import LANE_UNSERVED_SECONDS, stuck
from apps.queue.lanes import lane_names
from apps.queue.models import Pause, PeriodicRun, WorkerNode, in_seconds

SWEEP = "sweep"


def silent_after() -> timedelta:
    """How long a worker may show no sign of life before it counts as gone."""
    return timedelta(seconds=settings.WORKER_SILENT_SECONDS)


def beat_silent_after() -> timedelta:
    """How long no sweep may begin before beat counts as gone."""
    return max(silent_after(), timedelta(seconds=3 * settings.SWEEP_SECONDS))


def served_lanes() -> set[str]:
    """The lanes for which a worker lives."""
    alive = WorkerNode.objects.filter(seen_at__gte=Now() - silent_after())
    return {lane for lanes in alive.values_list("lanes", flat=True) for lane in lanes}


def is_swept() -> bool:
    """Whether beat lives: a sweep began lately."""
    lately = Now() - beat_silent_after()
    return PeriodicRun.objects.filter(pk=SWEEP, started_at__gte=lately).exists()


def failing_work() -> list[str]:
    """Recurring work whose last run failed."""
    failing = PeriodicRun.objects.scheduled().exclude(error="")
    return list(failing.order_by("pk").values_list("pk", flat=True))


def standstill(served: set[str]) -> list[str]:
    """What of the queue stands still though it should not, in words; `served` are the lanes with
    a living worker. That somebody paused something is no standstill."""
    found = [
        f"{pause}, which the engine paused: {pause.reason}"
        for pause in Pause.objects.in_force().filter(paused_by=None, organization=None)
        if pause.until is not None
    ]
    if any(stuck(handler).exists() for handler in handler_classes()):
        found.append("work of dead workers, which nobody takes back")
    unserved = [lane for lane in lane_names() if lane not in served]
    return found + [f"lane {lane}, which nobody serves" for lane in unserved if _waits_long(lane)]


def _waits_long(lane: str) -> bool:
    long_ago = in_seconds(-LANE_UNSERVED_SECONDS)
    return any(
        handler.model.objects.claimable(lane).filter(available_at__lt=long_ago).exists()
        for handler in handler_classes()
    )
