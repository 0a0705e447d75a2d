"""Holding lanes, organizations or everything back, and letting them go on."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.audit.services import record
from apps.core.events import tell
from apps.queue.doorbell import ring
from apps.queue.handlers import handler_classes
from apps.queue.lanes import catch_up, due_count, lane_names
from apps.queue.models import Pause


def pause(
    *,
    by: User | None,
    lane: str = "",
    organization: Organization | None = None,
    reason: str = "",
    until: datetime | None = None,
) -> Pause:
    """Nothing new starts in `lane` ("" is every lane) for `organization` (None is all of them)
    until it is resumed, or `until`; what runs goes on. Twice is once, with the new reason.

    `by` is who is shown and recorded; whether they may is the caller's to have checked. Raises
    ValueError for a lane that does not exist.
    """
    _check_lane(lane)
    with transaction.atomic():
        made, _ = Pause.objects.update_or_create(
            lane=lane,
            organization=organization,
            defaults={
                "reason": reason[:200],
                "paused_by": by,
                "until": until,
                "created_at": timezone.now(),
            },
        )
        tell("queue_paused", pause=made)
        record(
            organization=organization,
            actor=by,
            action="queue.pause",
            target="lane",
            target_id=lane or "every lane",
            reason=reason[:200],
            detail={"until": until.isoformat()} if until else {},
        )
    return made


def resume(*, by: User | None, lane: str = "", organization: Organization | None = None) -> bool:
    """Ends that pause; False when there is none. Other pauses of the same rows stay in force."""
    _check_lane(lane)
    with transaction.atomic():
        paused = Pause.objects.filter(lane=lane, organization=organization)
        if organization is not None and paused.exists():
            _catch_up(organization, [lane] if lane else lane_names())
        ended, _ = paused.delete()
        if not ended:
            return False
        tell("queue_resumed", lane=lane, organization_id=organization.pk if organization else None)
        record(
            organization=organization,
            actor=by,
            action="queue.resume",
            target="lane",
            target_id=lane or "every lane",
        )
        transaction.on_commit(_ring_everywhere, robust=True)
    return True


def _catch_up(organization: Organization, lanes: Iterable[str]) -> None:
    """While it stood still the others went on."""
    for handler in handler_classes():
        if not handler.is_pausable:
            continue
        waiting = handler.model.objects.ready().filter(organization=organization, is_held=False)
        lines = waiting.filter(lane__in=lanes).order_by("lane", "priority").distinct()
        for lane, priority in list(lines.values_list("lane", "priority")):
            rows = waiting.filter(lane=lane, priority=priority)
            catch_up(rows, organization=organization, lane=lane, priority=priority)


def _ring_everywhere() -> None:
    for lane in lane_names():
        ring(lane, due_count(lane, 8))


def _check_lane(lane: str) -> None:
    if lane and lane not in lane_names():
        raise ValueError(f"There is no lane {lane}.")
