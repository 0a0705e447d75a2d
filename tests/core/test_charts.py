"""Charts: what is drawn stands for the numbers, and nothing that is told becomes markup."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Series,
    bars,
    line,
    nice,
    short,
)

pytestmark = pytest.mark.once

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(0, 1e9) | st.integers(0, 10**9)


def chart(*series: Series, places: int | None = None, **more: str) -> Chart:
    count = len(series[0].values) if places is None else places
    told = {"key": "k", "title": "Title", "description": "Words", **more}
    return Chart(places=[f"p{n}" for n in range(count)], series=series, **told)


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def rectangles(svg: str) -> list[tuple[str, float, float]]:
    """Class, top and height of every bar."""
    return [
        (each.attrib["class"], float(each.attrib["y"]), float(each.attrib["height"]))
        for each in drawn(svg).iter(f"{SVG}rect")
    ]


def test_bars_stand_on_each_other_and_are_as_high_as_their_numbers() -> None:
    svg = bars(chart(Series("fine", "good", [2, 0]), Series("lost", "bad", [2, 1])))
    room = HEIGHT - TOP - BOTTOM
    assert rectangles(svg) == [
        ("chart-good", HEIGHT - BOTTOM - room / 2, room / 2),
        ("chart-bad", TOP, room / 2),
        ("chart-bad", HEIGHT - BOTTOM - room / 4, room / 4),
    ]


def test_it_says_in_words_what_it_draws() -> None:
    root = drawn(bars(chart(Series("fine", "good", [3]), description="Three were fine.")))
    assert root.attrib["role"] == "img"
    by_id = {each.attrib["id"]: each.text for each in root if "id" in each.attrib}
    named = [by_id[key] for key in root.attrib["aria-labelledby"].split()]
    assert named == ["Title", "Three were fine."]
    assert [title.text for title in root.iter(f"{SVG}title")] == ["Title", "p0: 3 fine"]


def test_what_is_told_becomes_no_markup() -> None:
    evil = '"><script>alert(1)</script>'
    told = {"title": evil, "description": evil, "unit": evil}
    one = Chart(key="k", places=[evil], series=[Series(evil, "good", [1.0])], **told)
    for svg in (bars(one), line(one)):
        assert not list(drawn(svg).iter(f"{SVG}script"))


def test_a_line_breaks_where_nothing_is_known() -> None:
    [path] = [
        each.attrib["d"]
        for each in drawn(line(chart(Series("s", "busy", [1, 2, None, 1])))).iter(f"{SVG}path")
        if "chart-line" in each.attrib["class"]
    ]
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert line(chart(Series("s", "busy", [None, 1, None]))).count("<circle") == 1


def test_nothing_is_drawn_of_nothing() -> None:
    for draw in (bars, line):
        assert drawn(draw(chart(Series("s", "good", [])))) is not None
        assert not rectangles(draw(chart(Series("s", "good", [0, None]))))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8))
def test_bars_stay_within_the_drawing(pairs: list[tuple[float, float]]) -> None:
    one, two = zip(*pairs, strict=True)
    svg = bars(chart(Series("one", "good", one), Series("two", "bad", two)))
    for each in drawn(svg).iter(f"{SVG}rect"):
        x, y, width, height = (float(each.attrib[n]) for n in ("x", "y", "width", "height"))
        assert LEFT <= x <= x + width <= WIDTH - RIGHT + 0.2
        assert TOP - 0.2 <= y <= y + height <= HEIGHT - BOTTOM + 0.2


@given(NUMBERS)
def test_an_axis_ends_at_a_round_number_not_far_above(value: float) -> None:
    assert value <= nice(value) <= max(2 * value, 1)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.5, "0.5"), (999, "999"), (1500, "1.5k"), (2e6, "2M")]
)
def test_large_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text
