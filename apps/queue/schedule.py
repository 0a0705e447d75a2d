"""Recurring work: Celery's beat decides when, this process does it.

Stock beat publishes messages and blocks while the broker is away; here an entry runs inline, so
that leases are taken back with no broker at all. Any number of beats may run: whoever moves the
entry's row in `PeriodicRun` to the slot runs it.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from apps.queue.models import PeriodicRun

logger = logging.getLogger(__name__)


def run_once(name: str, slot: int, work: Callable[[], object]) -> bool:
    """Runs `work` if nobody has run `name` for `slot` yet. An error is stored and logged."""
    PeriodicRun.objects.get_or_create(name=name)
    # A slot far ahead is from before a clock was set back: nobody waits until it comes again.
    is_due = Q(slot__lt=slot) | Q(slot__gt=slot + 1)
    mine = PeriodicRun.objects.filter(is_due, name=name)
    if not mine.update(slot=slot, started_at=Now(), finished_at=None, error=""):
        return False
    error = ""
    try:
        work()
    except Exception as failed:  # one entry's bug must not stop the others
        logger.exception("periodic work %s failed", name)
        error = f"{type(failed).__name__}: {failed}"[:500]
    PeriodicRun.objects.filter(name=name, slot=slot).update(finished_at=Now(), error=error)
    return True


class InlineScheduler(Scheduler):
    """A beat scheduler that calls each entry's function (a dotted path) in its own process."""

    producer = None  # type: ignore[assignment]  # the stock one connects to the broker
    _ticked_at = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Runs at most one entry that is due. Seconds until the next tick.

        The stock one goes by the wall clock: set back by an hour, it does nothing for an hour.
        """
        now = time.time()
        if now < self._ticked_at:
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self._heap = None
        self._ticked_at = now
        return float(super().tick(*args, **kwargs))

    def apply_async(
        self,
        entry: ScheduleEntry,
        producer: Any = None,
        advance: bool = True,
        **kwargs: Any,
    ) -> None:
        """Runs the entry here. Its `schedule` is a number of seconds, its `task` a dotted path."""
        every: Any = entry.schedule
        slot = int(time.time() / every.run_every.total_seconds())
        try:
            run_once(str(entry.name), slot, import_string(str(entry.task)))
        except DatabaseError as error:
            logger.warning("periodic work %s: the database is away (%s)", entry.name, error)
            connection.close()
        finally:
            close_old_connections()
