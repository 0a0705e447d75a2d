"""Keeping a lease alive, from a thread of the slot that only waits; parsing is another process.

The slot keeps the thread from one row to the next: most rows are done before its first tick.
"""

import logging
import os
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
IDLE_TICKS = 20
"""After so many with no row to keep, the thread ends, and with it its database connection."""
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
        self.ticking = threading.Lock()

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
        _watch().keep(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _watch().let_go()
        with self.ticking:  # nobody renews any more
            pass

    def tick(self, now: float) -> None:
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
        except Exception:  # a bug must not end the thread, which keeps the slot's next rows too
            logger.exception("row %s: renewal failed", self._row.pk)

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


class Watch:
    """The thread of a slot that ticks for the keeper of the row that runs there now."""

    def __init__(self) -> None:
        self._keeper: LeaseKeeper | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def keep(self, keeper: LeaseKeeper) -> None:
        with self._lock:
            self._keeper = keeper
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()

    def let_go(self) -> None:
        self._keeper = None

    def close(self) -> None:
        """Ends the thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        idle = 0
        try:
            while not self._end.wait(TICK_SECONDS):
                idle = 0 if self._tick() else idle + 1
                if idle > IDLE_TICKS and self._is_over():
                    return
        finally:
            connection.close()  # this thread's own

    def _tick(self) -> bool:
        """Whether there is a row to keep."""
        keeper = self._keeper
        if keeper is None:
            return False
        with keeper.ticking:
            if self._keeper is keeper and not keeper.is_lost:
                keeper.tick(time.monotonic())
        return True

    def _is_over(self) -> bool:
        with self._lock:
            if self._keeper is None:
                self._thread = None
        return self._thread is None


_slot = threading.local()


def _watch() -> Watch:
    """That of this thread, which is a slot; a pool process makes one of its own."""
    mine: tuple[int, Watch] | None = getattr(_slot, "watch", None)
    if mine is None or mine[0] != os.getpid():
        mine = _slot.watch = (os.getpid(), Watch())
    return mine[1]


def close_watch() -> None:
    """Ends this slot's thread."""
    _watch().close()
    del _slot.watch
