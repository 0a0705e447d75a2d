"""What was counted over a stretch of time: a chart, what it says in words, and a table of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from apps.core.charts import Chart, Series, bars

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Outcomes = Mapping[str, tuple[str, str]]
"""What is drawn: outcome -> colour, words."""
Places = Mapping[datetime, Counter[str]]
"""When each place begins -> outcome -> how often."""


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
    """Something that was counted over a span: its chart, words, and rows (place, numbers)."""

    name: str
    words: str
    chart: SafeString
    rows: list[tuple[str, list[int]]]


def drawn(name: str, key: str, *, places: Places, outcomes: Outcomes) -> Drawn:
    """`name` over the span `key` of SPANS, the outcomes stacked on each other."""
    span = SPANS[key]
    shown = [f"{start:{span.form}}" for start in places]
    words = in_words(places.values(), outcomes)
    chart = Chart(
        key=f"{key}-{name}",
        title=f"{name}: {span.title.lower()}",
        description=words,
        places=shown,
        series=[
            Series(told, colour, [each[outcome] for each in places.values()])
            for outcome, (colour, told) in outcomes.items()
        ],
    )
    cells = [[each[outcome] for outcome in outcomes] for each in places.values()]
    rows = [row for row in zip(shown, cells, strict=True) if any(row[1])]
    return Drawn(name, words, mark_safe(bars(chart)), rows[::-1])  # noqa: S308  escapes its words


def in_words(places: Iterable[Counter[str]], outcomes: Outcomes) -> str:
    """ "120 allowed, 3 refused." """
    total = sum(places, Counter[str]())
    told: Sequence[str] = [
        f"{total[o]:,} {words}" for o, (_, words) in outcomes.items() if total[o]
    ]
    return f"{', '.join(told)}." if told else "Nothing was counted."
