"""Lengths of time as people write them: `90s`, `15min`, `2 hours`. Pure."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WORDS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "d": ("d", "day", "days"),
}
UNIT_OF = {word: unit for unit, words in WORDS.items() for word in words}

_LENGTH = re.compile(r"(\d+)\s*([a-z]+)", re.ASCII)


def seconds_of(text: str) -> int:
    """The whole seconds that `text` names. Raises ValueError."""
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None or match[2] not in UNIT_OF:
        raise ValueError(f"{text!r} is no length of time; for example 90s, 15min or 2h")
    return int(match[1]) * UNITS[UNIT_OF[match[2]]]
