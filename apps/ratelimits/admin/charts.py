"""What each limiter allowed and refused over time, as charts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from apps.core.spans import HOUR, MINUTE, SPANS, Drawn, Span, drawn
from apps.ratelimits.limiters import TABLE
from apps.ratelimits.models import LimitHour

OUTCOMES = {
    "allowed": ("good", "allowed"),
    "refused": ("bad", "refused"),
    "shadow": ("warn", "would be refused by a rule that is tried"),
}
"""What is drawn: outcome -> colour, words."""
Counted = tuple[str, str, datetime, int]
"""Limiter, outcome, from when, how often."""


def charts(key: str) -> list[Drawn]:
    """Of every limiter that did anything in the span `key` of SPANS; one query."""
    span = SPANS[key]
    starts = span.starts()
    counts: dict[str, dict[datetime, Counter[str]]] = {}
    for name, outcome, start, count in _counted(span, starts[0]):
        if count and outcome in OUTCOMES and name in TABLE:
            places = counts.setdefault(name, {each: Counter() for each in starts})
            if start in places:
                places[start][outcome] += count
    names = [name for name in TABLE if any(counts.get(name, {}).values())]
    return [drawn(name, key, places=counts[name], outcomes=OUTCOMES) for name in names]


def _counted(span: Span, since: datetime) -> Iterable[Counted]:
    rows = LimitHour.objects.filter(start__gte=since - HOUR).order_by()
    if span.step is MINUTE:
        return _by_minute(rows.values_list("limiter", "outcome", "start", "minutes"))
    if span.step is HOUR:
        found = rows.values_list("limiter", "outcome", "start", "count")
        return ((n, o, timezone.localtime(start), count) for n, o, start, count in found)
    rows = rows.annotate(day=TruncDay("start"))
    return rows.values_list("limiter", "outcome", "day").annotate(Sum("count"))


def _by_minute(rows: Iterable[tuple[str, str, datetime, list[int]]]) -> Iterator[Counted]:
    for name, outcome, start, minutes in rows:
        local = timezone.localtime(start)
        for number, count in enumerate(minutes):
            yield name, outcome, local + MINUTE * number, count
