"""Charts as SVG, drawn by the server: colours come from classes, and words say all that is drawn.

Pure: numbers in, markup out. A page's content policy forbids inline style, so there is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 4, 8, 20
"""What is left around the drawing for the axes."""
GAP = 0.2
"""Of a bar's place, what stays empty."""
LABELS = 6
"""Names under the axis, at the most."""


@dataclass(frozen=True)
class Series:
    """One kind of thing in every place of a chart; None where there is no value. `name` is for
    people, `colour` the class `chart-<colour>`."""

    name: str
    colour: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """What `bars` and `line` draw. `key` tells its ids from those of others on the page; `places`
    are the names along the axis, as long as each of the series."""

    key: str
    title: str
    description: str
    places: Sequence[str]
    series: Sequence[Series]
    unit: str = ""

    @property
    def is_empty(self) -> bool:
        return not any(value for each in self.series for value in each.values)


def bars(chart: Chart) -> str:
    """The series stacked on each other, a bar for each place."""
    totals = [sum(each.values[n] or 0 for each in chart.series) for n, _ in enumerate(chart.places)]
    top = nice(max(totals, default=0))
    return _framed(chart, top, "".join(_stacks(chart, top)))


def line(chart: Chart) -> str:
    """A line for each of the series, broken where there is no value."""
    top = nice(max((value or 0 for each in chart.series for value in each.values), default=0))
    return _framed(chart, top, "".join(_lines(chart, top)))


def nice(value: float) -> float:
    """The first of 1, 2, 4, 5, 10, 20, ... that is not below `value`; at least 1."""
    size = 1.0
    while True:
        for step in (1, 2, 4, 5):
            if step * size >= value:
                return step * size
        size *= 10


def _stacks(chart: Chart, top: float) -> Iterator[str]:
    step = (WIDTH - LEFT - RIGHT) / max(len(chart.places), 1)
    for n, place in enumerate(chart.places):
        left, base = LEFT + step * (n + GAP / 2), float(HEIGHT - BOTTOM)
        drawn, told = "", []
        for each in chart.series:
            if value := each.values[n]:
                high = _high(value, top)
                base -= high
                told.append(f"{value:g} {each.name}")
                drawn += (
                    f'<rect class="chart-{each.colour}" x="{left:.1f}" y="{base:.1f}" '
                    f'width="{step * (1 - GAP):.1f}" height="{high:.1f}"/>'
                )
        if drawn:
            yield f"<g><title>{escape(place)}: {escape(', '.join(told))}</title>{drawn}</g>"


def _lines(chart: Chart, top: float) -> Iterator[str]:
    step = (WIDTH - LEFT - RIGHT) / max(len(chart.places), 1)
    for each in chart.series:
        path, is_drawn = "", False
        for n, value in enumerate(each.values):
            if value is not None:
                x, y = LEFT + step * (n + 0.5), HEIGHT - BOTTOM - _high(value, top)
                path += f"{'L' if is_drawn else 'M'}{x:.1f} {y:.1f}"
                # Seen also where there is none before and after it.
                yield f'<circle class="chart-{each.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
            is_drawn = value is not None
        yield f'<path class="chart-line chart-{each.colour}" d="{path}"/>'


def _high(value: float, top: float) -> float:
    return value / top * (HEIGHT - TOP - BOTTOM)


def _framed(chart: Chart, top: float, drawn: str) -> str:
    """The drawing with its axes, its title and what it says in words."""
    ids = f"{chart.key}-title {chart.key}-desc"
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{ids}">'
        f'<title id="{chart.key}-title">{escape(chart.title)}</title>'
        f'<desc id="{chart.key}-desc">{escape(chart.description)}</desc>'
        f"{''.join(_scale(chart.unit, top))}{drawn}{''.join(_names(chart.places))}</svg>"
    )


def _scale(unit: str, top: float) -> Iterator[str]:
    for value in (0, top / 2, top):
        y = HEIGHT - BOTTOM - _high(value, top)
        yield f'<path class="chart-grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        text = f"{short(value)}{unit}"
        yield f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{escape(text)}</text>'


def _names(places: Sequence[str]) -> Iterator[str]:
    step = (WIDTH - LEFT - RIGHT) / max(len(places), 1)
    every = -(-len(places) // LABELS) or 1
    for n in range(0, len(places), every):
        x = LEFT + step * (n + 0.5)
        where = f'x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle"'
        yield f"<text {where}>{escape(places[n])}</text>"


def short(value: float) -> str:
    """1500 as 1.5k."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
