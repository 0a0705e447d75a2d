"""Several things in turn, so that what disturbs the machine disturbs all of them.

Two clocks: what passes until the answer is there, and what processors work for it, here and in the
server. The first has in it how long a server takes to wake up, and whatever else the machine does.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Block:
    """Calls of one thing, one after the other: the microseconds of each, and on the mean those of
    processors."""

    passed: list[float]
    worked: float


Blocks = dict[str, list[Block]]
"""Name -> one block for each round."""


def in_turn(
    works: Mapping[str, Callable[[str], object]],
    server: Any,
    rounds: int,
    calls: int,
    *,
    before: Callable[[str, str], object] = lambda _name, _key: None,
) -> Blocks:
    """Calls each of `works` `calls` times in each of `rounds`, in another order each time.

    Each gets the round's name, for keys of its own; `before` is called with that of the work, too,
    and not measured. `server` is a client of it. A round more comes first, and is forgotten.
    """
    chance, names = random.Random(6), list(works)
    blocks: Blocks = {name: [] for name in names}
    for number in range(rounds + 1):
        chance.shuffle(names)
        for name in names:
            before(name, str(number))
            block = _block(works[name], str(number), calls, server)
            if number:
                blocks[name].append(block)
    return blocks


def _block(work: Callable[[str], object], key: str, calls: int, server: Any) -> Block:
    passed = []
    theirs, mine = _seconds_of(server), time.process_time()
    for _ in range(calls):
        started = time.perf_counter()
        work(key)
        passed.append((time.perf_counter() - started) * 1e6)
    worked = time.process_time() - mine
    worked += _seconds_of(server) - theirs
    return Block(passed, worked / calls * 1e6)


def _seconds_of(server: Any) -> float:
    """How long its processor has worked."""
    told = server.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


def passed(blocks: Sequence[Block]) -> list[float]:
    """The median of each round."""
    return [median(block.passed) for block in blocks]


def worked(blocks: Sequence[Block]) -> list[float]:
    return [block.worked for block in blocks]


def calls_of(blocks: Sequence[Block]) -> list[float]:
    """Of all rounds, what passed at each call."""
    return list(chain(*[block.passed for block in blocks]))
