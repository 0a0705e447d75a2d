"""Keeping a lease alive, from a thread of the slot that only waits; parsing is another process."""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import QuerySet

from apps.queue.handlers import Handler
from apps.queue.models import LeasedRow, in_seconds
from apps.queue.states import State

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
LOOK_SECONDS = 1.0
"""How often the row is looked at in between renewals: so soon a cancel is seen."""
PROGRESS_SECONDS = 1.0
"""Progress is written at most this often."""


class LeaseKeeper:
    """Renews the lease of `row` every LEASE_RENEW_SECONDS and writes its progress, while entered.

    `is_cancelled`: somebody asked for the row to stop.
    """

    def __init__(self, handler: type[Handler], row: LeasedRow) -> None:
        self.is_cancelled = False
        self._handler = handler
        self._row = row
        self._is_taken = False
        self._written = (row.stage, row.progress)
        self._written_at = 0.0
        self._renewed_at = self._looked_at = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)

    @property
    def is_lost(self) -> bool:
        """The row is somebody else's by now, or no renewal got through for so long that it may be.

        Nothing may be written then. The clock decides, not the renewing thread: that one may hang
        in a call to a database that is frozen or cut off (River #1321).
        """
        unrenewed = time.monotonic() - self._renewed_at
        return self._is_taken or unrenewed >= settings.LEASE_SECONDS - settings.LEASE_RENEW_SECONDS

    def report(self, stage: str, fraction: float) -> None:
        """Notes on the row how far the run is; the fraction never goes back within a run."""
        row = self._row
        row.stage, row.progress = stage[:32], max(row.progress, min(fraction, 1.0))

    def should_stop(self) -> bool:
        return self.is_lost or self.is_cancelled

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            while not self._done.wait(TICK_SECONDS) and not self.is_lost:
                self._tick(time.monotonic())
        finally:
            connection.close()  # this thread's own

    def _tick(self, now: float) -> None:
        told = (self._row.stage, self._row.progress)
        due = now - self._renewed_at >= settings.LEASE_RENEW_SECONDS
        news = told != self._written and now - self._written_at >= PROGRESS_SECONDS
        try:
            if due or news:
                self._renew(told, now)
            elif now - self._looked_at >= LOOK_SECONDS:
                self._look(now)
        except DatabaseError as error:
            logger.warning("row %s: renewal failed (%s)", self._row.pk, error)
            connection.close()

    def _mine(self) -> QuerySet[LeasedRow]:
        return self._handler.model.objects.filter(
            pk=self._row.pk, lease_token=self._row.lease_token, state=State.RUNNING
        )

    def _look(self, now: float) -> None:
        asked = self._mine().values_list("cancel_requested", flat=True).first()
        self._is_taken = asked is None
        self.is_cancelled = bool(asked)
        self._looked_at = now

    def _renew(self, told: tuple[str, float], now: float) -> None:
        stage, progress = told
        with transaction.atomic():
            kept = self._mine().update(
                lease_expires_at=in_seconds(settings.LEASE_SECONDS), stage=stage, progress=progress
            )
            self._look(now)
            if kept and told != self._written:
                self._handler.progressed(self._row)
        # Committed; and the lease counts from before it was asked for.
        self._renewed_at = self._written_at = now
        self._written = told
