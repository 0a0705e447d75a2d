"""What counts while Redis is away: the memory of each process, or the database."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError

from apps.ratelimits.ledger import Answer, Ask, Fallback, Source, Verdict
from apps.ratelimits.memory_store import MemoryStore, wall_clock_ms
from apps.ratelimits.sql_store import SqlStore

logger = logging.getLogger(__name__)

CLOSED_MS = 2000
"""When to come back to a limiter that refuses everything while Redis is away."""


class Standby:
    """Asks that belong together are decided in one place: in that of the strictest of them."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.sql = SqlStore()

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room."""
        ways = {ask.fallback for ask in asks}
        if Fallback.CLOSED in ways:
            return _closed(asks)
        if Fallback.SQL in ways:
            try:
                return self.sql.decide(asks, hit=hit)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("limits: the database cannot count either (%s)", error)
        return self.memory.decide(asks, hit=hit)

    def refund(self, asks: Sequence[Ask], at_ms: int, source: Source) -> None:
        """Takes back what a decision at `at_ms` counted for `asks` in `source`."""
        if source is Source.MEMORY:
            self.memory.refund(asks, at_ms)
        elif source is Source.SQL:
            try:
                self.sql.refund(asks, at_ms)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("limits: the database gives nothing back (%s)", error)

    def forget(self, keys: Sequence[str]) -> None:
        """The counts of these keys begin anew. Raises DatabaseError."""
        self.memory.forget(keys)
        self.sql.forget(keys)


def _closed(asks: Sequence[Ask]) -> Answer:
    """Refuses: of an ask that has to be counted in Redis nobody knows how much room it has."""
    verdicts = [Verdict((), CLOSED_MS if ask.fallback is Fallback.CLOSED else 0) for ask in asks]
    return Answer(False, wall_clock_ms(), tuple(verdicts), source=Source.NOWHERE)
