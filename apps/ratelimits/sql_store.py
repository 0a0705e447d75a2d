"""The limits that hold for all processes while Redis is away: guessing passwords gets no cheaper.

The same logs as in Redis, one row each, locked for the decision.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import transaction

from apps.ratelimits.ledger import Answer, Ask, Meter, Source, State, decide, meters_of
from apps.ratelimits.memory_store import wall_clock_ms
from apps.ratelimits.models import KeptCount

CLEANED_AT_ONCE = 100


class SqlStore:
    """Decides like Redis, in the database. Raises DatabaseError.

    Outside of transactions: what is counted in one that is rolled back was not counted.
    """

    def __init__(self, clock: Callable[[], int] = wall_clock_ms) -> None:
        self._clock = clock

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room."""
        keys = [ask.key + meter.suffix for ask in asks for meter in meters_of(ask.windows)]
        if hit:
            _clean()  # by itself: with other locks it could wait for who waits for these
        with transaction.atomic(), _rows(keys, locked=hit) as rows:
            # Not before: a lock that was waited for would make it older than what it reads.
            now = self._clock()
            answer = decide(asks, now, hit=hit, load=rows.load, save=rows.save)
        return answer._replace(source=Source.SQL)

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None:
        """Takes back what a decision at `at_ms` counted for `asks`."""
        meters = [(ask, meter) for ask in asks for meter in meters_of(ask.windows)]
        keys = [ask.key + meter.suffix for ask, meter in meters]
        with transaction.atomic(), _rows(keys, locked=True) as rows:
            for key, (ask, meter) in zip(keys, meters, strict=True):
                state = rows.load(key, meter)
                state.take(at_ms, ask.cost)
                rows.save(key, meter, state)

    def forget(self, keys: Sequence[str]) -> None:
        """The counts of these keys begin anew."""
        KeptCount.objects.filter(pk__in=keys).delete()


class _Rows:
    """Locked rows; what is saved is written at the end."""

    def __init__(self, kept: dict[str, KeptCount]) -> None:
        self.kept = kept
        self.changed: dict[str, KeptCount] = {}

    def load(self, key: str, meter: Meter) -> State:
        row = self.kept.get(key)
        return meter.decode(bytes(row.state)) if row and row.state else meter.new()

    def save(self, key: str, meter: Meter, state: State) -> None:
        row = self.kept[key]
        row.state = state.encode()
        lives = timedelta(milliseconds=state.lives_ms(meter.windows))
        row.expires_at = datetime.now(UTC) + lives
        self.changed[key] = row


@contextmanager
def _rows(keys: Sequence[str], *, locked: bool) -> Iterator[_Rows]:
    """The rows of `keys`; to be changed they are made where there are none, and locked in order."""
    kept = KeptCount.objects.filter(pk__in=keys)
    rows = _Rows(_locked(keys) if locked else {row.pk: row for row in kept})
    yield rows
    KeptCount.objects.bulk_update(rows.changed.values(), ["state", "expires_at"])


def _locked(keys: Sequence[str]) -> dict[str, KeptCount]:
    while True:
        now = datetime.now(UTC)
        new = [KeptCount(key=key, expires_at=now) for key in sorted(keys)]
        KeptCount.objects.bulk_create(new, ignore_conflicts=True)
        kept = KeptCount.objects.filter(pk__in=keys).order_by("pk").select_for_update()
        found = {row.pk: row for row in kept}
        # One that was there, and expired, may have been removed before its lock was had.
        if found.keys() == set(keys):
            return found


@transaction.atomic
def _clean() -> None:
    """Removes some of what has expired and nobody is at."""
    expired = KeptCount.objects.filter(expires_at__lt=datetime.now(UTC))
    free = expired.select_for_update(skip_locked=True).values_list("pk", flat=True)
    KeptCount.objects.filter(pk__in=list(free[:CLEANED_AT_ONCE])).delete()
