"""Taking the best row of a lane: one short transaction, decided by one conditional UPDATE."""

import uuid

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Coalesce, Now

from apps.queue.handlers import Handler, handler_classes
from apps.queue.lanes import free_places
from apps.queue.models import Lane, LeasedRow, in_seconds
from apps.queue.states import READY, State


def claim(lane: str, worker_id: uuid.UUID) -> tuple[type[Handler], LeasedRow] | None:
    """The best claimable row of `lane`, now leased to `worker_id`; None when there is nothing.

    "Best" holds within a handler's model; models take turns in the order of the settings. A lane's
    cap is exact on SQLite; on PostgreSQL claimers at the same moment may pass it by their number
    less one.
    """
    for handler in handler_classes():
        # A look first: it takes no lock, and most claims on an idle lane end here.
        while _candidates(handler, lane).exists():
            row, tried = _claim_one(handler, lane, worker_id)
            if row is not None:
                return handler, row
            if not tried:
                break
    return None


def _candidates(handler: type[Handler], lane: str) -> QuerySet[LeasedRow]:
    waiting = handler.model.objects.claimable(lane)
    settings_row = Lane.objects.filter(name=lane).first()
    if settings_row is None or settings_row.max_running_per_organization is None:
        return waiting
    full = (
        handler.model.objects.running()
        .filter(lane=lane)
        .values("organization")
        .annotate(running=Count("pk"))
        .filter(running__gte=settings_row.max_running_per_organization)
        .values("organization")
    )
    return waiting.exclude(organization__in=full)


@transaction.atomic
def _claim_one(
    handler: type[Handler], lane: str, worker_id: uuid.UUID
) -> tuple[LeasedRow | None, bool]:
    """The claimed row, and whether trying again makes sense (somebody was quicker)."""
    if free_places(lane) < 1:
        return None, False
    candidates = _candidates(handler, lane)
    if connection.features.has_select_for_update_skip_locked:
        candidates = candidates.select_for_update(skip_locked=True, of=("self",))
    row = candidates.first()
    if row is None:
        return None, False
    token = uuid.uuid4()
    won = handler.model.objects.filter(pk=row.pk, state__in=READY, is_held=False).update(
        state=State.RUNNING,
        attempts=F("attempts") + 1,
        lease_token=token,
        lease_expires_at=in_seconds(settings.LEASE_SECONDS),
        worker_id=worker_id,
        started_at=Coalesce("started_at", Now()),
        stage="",
    )
    if not won:
        return None, True
    row.refresh_from_db()
    handler.attempt_model.objects.create(
        row=row,
        run=row.run,
        number=row.attempts,
        lease_token=token,
        worker_id=worker_id,
        lane=lane,
    )
    handler.claimed(row)
    return row, True
