"""How limits are written, and what is refused."""

import pytest

from apps.ratelimits.windows import BadWindows, Window, parse_windows


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("20/min", [(20, 60)]),
        ("120/m", [(120, 60)]),
        ("5/15min", [(5, 900)]),
        ("5 / 15 minutes", [(5, 900)]),
        ("50/day", [(50, 86400)]),
        ("1000/h, 20/s,100/MIN", [(20, 1), (100, 60), (1000, 3600)]),
        ("unlimited", []),
    ],
)
def test_windows_as_people_write_them(text: str, windows: list[tuple[int, int]]) -> None:
    assert parse_windows(text) == tuple(Window(*each) for each in windows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' is not a number per time; for example"),
        ("100", "'100' is not a number per time; for example"),
        ("100/fortnight", "'100/fortnight' is not a number per time"),
        ("-1/min", "is not a number per time"),
        ("0/min", "the number must be from 1"),
        ("1/0s", "the time must be from 1 second"),
        ("1/32d", "31 days"),
        ("1/min, 1/60s, 2/60s", "two limits for the same time: 1/minute and 2/minute"),
        ("10/min, 10/h", "10/minute can never be reached beside 10/hour"),
        ("1/s,2/2s,3/3s,4/4s,5/5s,6/6s,7/7s", "at most 6 windows"),
    ],
)
def test_what_is_wrong_is_said(text: str, told: str) -> None:
    with pytest.raises(BadWindows) as caught:
        parse_windows(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        (1, "second"),
        (60, "minute"),
        (900, "15-minutes"),
        (3600, "hour"),
        (90, "90-seconds"),
        (86400, "day"),
    ],
)
def test_names_in_headers(seconds: int, name: str) -> None:
    assert Window(5, seconds).name == name
