"""What the limits allowed and refused over time: folded from the minutes that Redis counts into
rows, one for each hour, limiter and outcome.

A minute in a row never gets smaller. So folding twice, or by two at once, counts once, and what
Redis loses was kept up to the minute before.
"""

import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from apps.ratelimits.limiters import TABLE
from apps.ratelimits.models import LimitHour, Offender, RateLimitRule
from apps.ratelimits.stores import store

OUTCOMES = ("allowed", "refused", "shadow", "standby")
"""`shadow` would have been refused by a rule that is only tried; `standby` was decided without
Redis, and is one of the others as well."""
HOUR = 3600
REDIS_KEEPS_HOURS = 48
LATE_HOURS = 3
"""Decisions made without Redis are told to it later: hours as recent as this are read again."""
KEPT = timedelta(days=90)
RULES_KEPT = timedelta(days=30)
"""After the end of a rule, and after an address was last noticed."""

Minutes = dict[tuple[str, str], list[int]]
"""(limiter, outcome) -> how often in each of the 60 minutes of an hour."""


def fold() -> None:
    """Keeps what was counted since the last time, and forgets what is older than kept.

    While Redis is away there is nothing to do: it keeps two days.
    """
    this = int(time.time() // HOUR)
    for hour in range(_first_hour(this), this + 1):
        counted = _read(hour)
        if counted is None:
            break
        _keep(datetime.fromtimestamp(hour * HOUR, UTC), counted)
    _forget()


def _first_hour(this: int) -> int:
    """Of those (Unix time / 3600) that may have grown."""
    newest = LimitHour.objects.aggregate(newest=Max("start"))["newest"]
    first = int(newest.timestamp() // HOUR) if newest else 0
    return max(min(first, this - LATE_HOURS), this - REDIS_KEEPS_HOURS + 1)


def _read(hour: int) -> Minutes | None:
    """What Redis counted in that hour; None while it is away."""
    minutes = range(hour * 60, hour * 60 + 60)
    counted = store().ask(lambda redis: redis.statistics(minutes))
    if counted is None:
        return None
    found: Minutes = defaultdict(lambda: [0] * 60)
    for minute, fields in enumerate(counted):
        for field, number in fields.items():
            name, _, outcome = field.rpartition(":")
            if name in TABLE and outcome in OUTCOMES:
                found[name, outcome][minute] = number
    return found


@transaction.atomic
def _keep(start: datetime, counted: Minutes) -> None:
    if not counted:
        return
    new = [LimitHour(start=start, limiter=n, outcome=o, minutes=[]) for n, o in sorted(counted)]
    LimitHour.objects.bulk_create(new, ignore_conflicts=True)
    rows = LimitHour.objects.filter(start=start).order_by("pk").select_for_update()
    grown = []
    for row in rows:
        now = counted.get((row.limiter, row.outcome), [])
        merged = [max(pair) for pair in zip(now, row.minutes or [0] * 60, strict=False)]
        if merged and merged != row.minutes:
            row.minutes, row.count = merged, sum(merged)
            grown.append(row)
    LimitHour.objects.bulk_update(grown, ["minutes", "count"])


def _forget() -> None:
    now = timezone.now()
    LimitHour.objects.filter(start__lt=now - KEPT).delete()
    Offender.objects.filter(last_at__lt=now - RULES_KEPT).delete()
    RateLimitRule.objects.over(now - RULES_KEPT).delete()
