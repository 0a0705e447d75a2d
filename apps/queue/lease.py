"""Keeping a lease alive, from a thread of the slot that only waits; parsing is another process."""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction

from apps.queue.handlers import Handler
from apps.queue.models import LeasedRow, in_seconds
from apps.queue.states import State

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
PROGRESS_SECONDS = 1.0
"""Progress is written at most this often."""


class LeaseKeeper:
    """Renews the lease of `row` every LEASE_RENEW_SECONDS and writes its progress, while entered.

    `is_lost`: the row is somebody else's by now, or no renewal got through for so long that it may
    be; nothing may be written. `is_cancelled`: somebody asked for the row to stop.
    """

    def __init__(self, handler: type[Handler], row: LeasedRow) -> None:
        self.is_lost = False
        self.is_cancelled = False
        self._handler = handler
        self._row = row
        self._told: tuple[str, float] = ("", row.progress)
        self._written = self._told
        self._renewed_at = time.monotonic()
        self._written_at = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)

    def report(self, stage: str, fraction: float) -> None:
        """Notes how far the run is; the fraction never goes back within a run."""
        self._told = (stage[:32], max(self._told[1], min(fraction, 1.0)))

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
        due = now - self._renewed_at >= settings.LEASE_RENEW_SECONDS
        news = self._told != self._written and now - self._written_at >= PROGRESS_SECONDS
        if not due and not news:
            return
        try:
            self._renew()
        except DatabaseError as error:
            logger.warning("row %s: renewal failed (%s)", self._row.pk, error)
            connection.close()
            # Stop in time: after the expiry another worker may have it (River #1321).
            if now - self._renewed_at >= settings.LEASE_SECONDS - settings.LEASE_RENEW_SECONDS:
                self.is_lost = True

    def _renew(self) -> None:
        stage, progress = told = self._told
        started = time.monotonic()
        with transaction.atomic():
            mine = self._handler.model.objects.filter(
                pk=self._row.pk, lease_token=self._row.lease_token, state=State.RUNNING
            )
            kept = mine.update(
                lease_expires_at=in_seconds(settings.LEASE_SECONDS), stage=stage, progress=progress
            )
            self.is_lost = not kept
            self.is_cancelled = mine.filter(cancel_requested=True).exists()
            if kept and told != self._written:
                self._row.stage, self._row.progress = told
                self._handler.progressed(self._row)
        self._renewed_at = self._written_at = started
        self._written = told
