"""The rules of this process: what an operator has laid down for one user, organization or address.

The number of their last change rides in every answer of the store; a process that hears of another
one than it knows reads the rules anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

from apps.ratelimits.subjects import Subject
from apps.ratelimits.windows import Window


class Ruling(NamedTuple):
    """What a rule lays down: other windows (none: unlimited), or no requests at all until
    `blocked_until` (Unix seconds). In `shadow` it only counts what it would refuse."""

    windows: tuple[Window, ...] = ()
    blocked_until: float = 0.0
    shadow: bool = False


_rules: dict[tuple[str, str], Ruling] = {}
"""(limiter's name, subject's key) -> what is laid down."""


def ruling(limiter: str, subjects: Sequence[Subject]) -> Ruling | None:
    """The rule for `limiter` of the first of `subjects` that has one. Asks no database."""
    for subject in subjects:
        if found := _rules.get((limiter, subject.key)):
            return found
    return None


def heard(stamp: str) -> None:
    """Takes note of the rules' version that an answer of the store brought, "" for unknown."""
