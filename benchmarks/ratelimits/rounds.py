"""Calls of several things in turn, so that what disturbs the machine disturbs all of them."""

import random
import time
from collections.abc import Callable, Mapping
from statistics import median

Times = dict[str, list[list[float]]]
"""Name -> for each round the microseconds of each call."""


def in_turn(
    works: Mapping[str, Callable[[str], object]],
    rounds: int,
    calls: int,
    *,
    before: Callable[[str, str], object] = lambda _name, _key: None,
) -> Times:
    """Calls each of `works` `calls` times in each of `rounds`, in another order each time.

    Each gets the round's name, for keys of its own; `before` is called with that of the work, too,
    and not measured. A round more comes first, and is forgotten.
    """
    chance, names = random.Random(6), list(works)
    times: Times = {name: [] for name in names}
    for number in range(rounds + 1):
        spent: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(calls):
            chance.shuffle(names)
            for name in names:
                before(name, f"{number}")
                started = time.perf_counter()
                works[name](f"{number}")
                spent[name].append((time.perf_counter() - started) * 1e6)
        if number:
            for name in names:
                times[name].append(spent[name])
    return times


def medians(rounds: list[list[float]]) -> list[float]:
    """That of each round."""
    return [median(each) for each in rounds]
