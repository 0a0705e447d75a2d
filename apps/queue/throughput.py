"""How many attempts ended in each minute and hour: counted once, from the attempts themselves.

Whole hours are counted anew from a little before the newest count on. So what was missed while
nobody counted is caught up, what was committed late is in, and two at once write the same.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Min, Sum
from django.utils import timezone

from apps.caching.decorators import cached
from apps.caching.invalidation import invalidate
from apps.queue.handlers import handler_classes
from apps.queue.models import Attempt, Throughput

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=10)
"""How long after its end an attempt may be committed and still be counted."""
MINUTES_KEPT = timedelta(hours=48)
HOURS_KEPT = timedelta(days=90)
COUNTED = "queue:throughput"
"""The tag of what is kept of the counts."""
BUDGET_SECONDS = 5.0
"""After this much a round leaves the rest to the next one."""

# A time as the start of its minute or hour, and how long an attempt took, by vendor.
STARTS = {
    "postgresql": {
        Throughput.Size.MINUTE: "DATE_TRUNC('minute', ended_at, 'UTC')",
        Throughput.Size.HOUR: "DATE_TRUNC('hour', ended_at, 'UTC')",
    },
    "sqlite": {
        Throughput.Size.MINUTE: "SUBSTR(ended_at, 1, 16) || ':00'",
        Throughput.Size.HOUR: "SUBSTR(ended_at, 1, 13) || ':00:00'",
    },
}
TOOK = {
    "postgresql": "EXTRACT(EPOCH FROM ended_at - started_at)",
    "sqlite": "(JULIANDAY(ended_at) - JULIANDAY(started_at)) * 86400.0",
}


def roll_up() -> None:
    """Counts what has ended since the last time, and forgets counts that are older than kept.

    Safe to run twice at once: a count is the whole truth about its time, and never gets smaller.
    """
    now, deadline = timezone.now(), time.monotonic() + BUDGET_SECONDS
    hour = _first_hour(now)
    while hour is not None and hour <= now:
        if time.monotonic() > deadline:
            return
        count_hour(hour, with_minutes=hour > now - MINUTES_KEPT - HOUR)
        hour = _next_hour(hour + HOUR)
    sizes = ((Throughput.Size.MINUTE, MINUTES_KEPT), (Throughput.Size.HOUR, HOURS_KEPT))
    for size, kept in sizes:
        Throughput.objects.filter(size=size, start__lt=now - kept).delete()


def count_hour(hour: datetime, *, with_minutes: bool) -> None:
    """Counts the attempts that ended in the hour from `hour`, as many as are there now."""
    sizes = list(Throughput.Size) if with_minutes else [Throughput.Size.HOUR]
    with transaction.atomic():
        for handler in handler_classes():
            for size in sizes:
                _count(handler.attempt_model, size, hour)
        invalidate(COUNTED)


def _count(attempts: type[Attempt], size: Throughput.Size, hour: datetime) -> None:
    own, start = Throughput._meta.db_table, STARTS[connection.vendor][size]
    # In one order, so that two that count at once do not wait for each other in a circle.
    statement = f"""
        INSERT INTO {own} (size, start, attempts_of, lane, outcome, count, seconds)
        SELECT %(size)s, {start}, %(label)s, lane, outcome, COUNT(*), SUM({TOOK[connection.vendor]})
        FROM {attempts._meta.db_table} WHERE ended_at >= %(from)s AND ended_at < %(to)s
        GROUP BY 2, lane, outcome ORDER BY 2, lane, outcome
        ON CONFLICT (size, start, attempts_of, lane, outcome)
        DO UPDATE SET count = excluded.count, seconds = excluded.seconds
        WHERE excluded.count > {own}.count"""  # noqa: S608  (our own names)
    adapt = connection.ops.adapt_datetimefield_value
    given: dict[str, Any] = {"size": size.value, "label": attempts._meta.label_lower}
    given |= {"from": adapt(hour), "to": adapt(hour + HOUR)}
    with connection.cursor() as cursor:
        cursor.execute(statement, given)


@cached("metrics", tenant=None, tags=(COUNTED,))
def ended_since(size: int, since: datetime) -> list[list[Any]]:
    """[start in ISO 8601, outcome, how many, seconds] over all lanes, by minutes or hours."""
    found = Throughput.objects.filter(size=size, start__gte=since).order_by()
    counted = found.values_list("start", "outcome").annotate(Sum("count"), Sum("seconds"))
    return [[start.isoformat(), *more] for start, *more in counted]


def _first_hour(now: datetime) -> datetime | None:
    """The hour with which counting begins; None when there is nothing to count."""
    # What lies ahead is from before a clock was set back.
    counted = Throughput.objects.filter(start__lte=now).aggregate(newest=Max("start"))["newest"]
    if counted is not None:
        return _hour_of(counted - LATE)
    return _next_hour(now - HOURS_KEPT)


def _next_hour(since: datetime) -> datetime | None:
    """The hour in which the first attempt ended from `since` on."""
    firsts = []
    for handler in handler_classes():
        ended = handler.attempt_model.objects.filter(ended_at__gte=since)
        firsts.append(ended.aggregate(first=Min("ended_at"))["first"])
    found = [first for first in firsts if first is not None]
    return _hour_of(min(found)) if found else None


def _hour_of(moment: datetime) -> datetime:
    """Hours are those of UTC: where clocks are half an hour off, too."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
