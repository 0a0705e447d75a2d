"""What each limiter allowed and refused over time, as charts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum
from django.db.models.functions import TruncDay
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from apps.core.charts import Chart, Series, bars
from apps.ratelimits.limiters import TABLE
from apps.ratelimits.models import LimitHour

OUTCOMES = {
    "allowed": ("good", "allowed"),
    "refused": ("bad", "refused"),
    "shadow": ("warn", "would be refused by a rule that is tried"),
}
"""What is drawn: outcome -> colour, words."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Counted = tuple[str, str, datetime, int]
"""Limiter, outcome, from when, how often."""


@dataclass(frozen=True)
class Span:
    """A stretch of time, in so many places."""

    title: str
    step: timedelta
    places: int
    form: str

    def starts(self) -> list[datetime]:
        """When each place begins, in local time."""
        now = timezone.localtime().replace(second=0, microsecond=0)
        now = now if self.step is MINUTE else now.replace(minute=0)
        now = now.replace(hour=0) if self.step is DAY else now
        return [now - self.step * n for n in range(self.places - 1, -1, -1)]


SPANS = {
    "hour": Span("Last hour, by minute", MINUTE, 60, "%H:%M"),
    "day": Span("Last day, by hour", HOUR, 24, "%H:%M"),
    "month": Span("Last 30 days", DAY, 30, "%-d %b"),
}


@dataclass(frozen=True)
class Drawn:
    """A limiter over a span: its chart, what it says in words, and the same as a table."""

    name: str
    words: str
    chart: SafeString
    rows: list[tuple[str, list[int]]]


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
    return [_drawn(name, key, span, counts[name]) for name in names]


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


def _drawn(name: str, key: str, span: Span, places: dict[datetime, Counter[str]]) -> Drawn:
    shown = [f"{start:{span.form}}" for start in places]
    chart = Chart(
        key=f"{key}-{name}",
        title=f"{name}: {span.title.lower()}",
        description=(words := in_words(places.values())),
        places=shown,
        series=[
            Series(told, colour, [each[outcome] for each in places.values()])
            for outcome, (colour, told) in OUTCOMES.items()
        ],
    )
    cells = [[each[outcome] for outcome in OUTCOMES] for each in places.values()]
    rows = [row for row in zip(shown, cells, strict=True) if any(row[1])]
    drawn = mark_safe(bars(chart))  # noqa: S308  escapes its words
    return Drawn(name, words, drawn, rows[::-1])


def in_words(places: Iterable[Counter[str]]) -> str:
    """ "120 allowed, 3 refused." """
    total = sum(places, Counter[str]())
    told: Sequence[str] = [
        f"{total[o]:,} {words}" for o, (_, words) in OUTCOMES.items() if total[o]
    ]
    return f"{', '.join(told)}." if told else "Nothing was counted."
