"""What ended over time, as the charts of the board."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from apps.core.charts import Chart, Series, bars, line
from apps.queue.models import Throughput
from apps.queue.throughput import ended_since

GROUPS = {
    "succeeded": ("good", ("succeeded",)),
    "tried again": ("warn", ("retry",)),
    "failed": ("bad", ("failed", "quarantined")),
    "cancelled": ("none", ("cancelled",)),
}
"""What is told apart: name -> colour, outcomes of attempts."""
GROUP_OF = {outcome: name for name, (_, outcomes) in GROUPS.items() for outcome in outcomes}


@dataclass(frozen=True)
class Counted:
    """The attempts that ended from `start` on with `outcome`, and how many seconds they ran."""

    start: datetime
    outcome: str
    count: int
    seconds: float


@dataclass
class Place:
    """A minute, an hour or a day: how many attempts ended in it, by group, and how long all ran."""

    name: str
    counts: Counter[str]
    seconds: float = 0.0

    @property
    def mean(self) -> float | None:
        """Seconds that an attempt ran on average."""
        total = self.counts.total()
        return self.seconds / total if total else None

    @property
    def cells(self) -> list[int]:
        return [self.counts[name] for name in GROUPS]


@dataclass(frozen=True)
class Span:
    """A stretch of time: its charts, what they say in words, and the same as a table."""

    title: str
    words: str
    drawn: SafeString
    ran: SafeString
    rows: list[Place]


def spans() -> list[Span]:
    """The last hour, day and month; two queries."""
    now = timezone.localtime()
    minute = now.replace(second=0, microsecond=0)
    hour, day = minute.replace(minute=0), minute.replace(hour=0, minute=0)
    minutes = [minute - timedelta(minutes=n) for n in range(59, -1, -1)]
    hours = [hour - timedelta(hours=n) for n in range(23, -1, -1)]
    days = [day - timedelta(days=n) for n in range(29, -1, -1)]
    by_minute = _counted(Throughput.Size.MINUTE, minutes[0])
    by_hour = _counted(Throughput.Size.HOUR, days[0])
    return [
        _span("hour", "Last hour, by minute", minutes, by_minute, form="%H:%M"),
        _span("day", "Last day, by hour", hours, by_hour, form="%H:%M"),
        _span("month", "Last 30 days", days, by_hour, form="%-d %b", place_of=_day_of),
    ]


def _day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0)


def _counted(size: Throughput.Size, since: datetime) -> list[Counted]:
    """Over all lanes and handlers."""
    rows = ended_since(size.value, since)
    return [
        Counted(timezone.localtime(datetime.fromisoformat(start)), outcome, count, seconds)
        for start, outcome, count, seconds in rows
    ]


def _span(
    key: str,
    title: str,
    starts: Sequence[datetime],
    counted: Iterable[Counted],
    *,
    form: str,
    place_of: Callable[[datetime], datetime] = lambda moment: moment,
) -> Span:
    places = {start: Place(f"{start:{form}}", Counter()) for start in starts}
    for row in counted:
        if place := places.get(place_of(row.start)):
            place.counts[GROUP_OF.get(row.outcome, "failed")] += row.count
            place.seconds += row.seconds
    shown = list(places.values())
    words = in_words(shown)
    return Span(
        title=title,
        words=words,
        drawn=mark_safe(bars(_ended(key, title, shown, words))),  # noqa: S308  escapes its words
        ran=mark_safe(line(_ran(key, title, shown))),  # noqa: S308  the same
        rows=[place for place in reversed(shown) if place.counts],
    )


def _ended(key: str, title: str, places: Sequence[Place], words: str) -> Chart:
    return Chart(
        key=key,
        title=f"{title}: attempts that ended",
        description=words,
        places=[place.name for place in places],
        series=[
            Series(name, colour, [place.counts[name] for place in places])
            for name, (colour, _) in GROUPS.items()
        ],
    )


def _ran(key: str, title: str, places: Sequence[Place]) -> Chart:
    means = [place.mean for place in places]
    known = [mean for mean in means if mean is not None]
    told = f"Between {min(known):.1f} and {max(known):.1f} seconds." if known else "None ended."
    return Chart(
        key=f"{key}-ran",
        title=f"{title}: seconds that an attempt ran on average",
        description=told,
        places=[place.name for place in places],
        series=[Series("seconds", "busy", means)],
        unit=" s",
    )


def in_words(places: Iterable[Place]) -> str:
    """ "12 attempts ended: 10 succeeded, 2 failed. They ran 1.5 s on average." """
    counts, seconds = defaultdict[str, int](int), 0.0
    for place in places:
        seconds += place.seconds
        for name, count in place.counts.items():
            counts[name] += count
    if not (total := sum(counts.values())):
        return "No attempt ended."
    told = ", ".join(f"{counts[name]:,} {name}" for name in GROUPS if counts[name])
    noun = "attempt" if total == 1 else "attempts"
    return f"{total:,} {noun} ended: {told}. Average run: {seconds / total:.1f} s."
