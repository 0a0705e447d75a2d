"""What of an audit entry is hashed, and where a chain of entries is broken."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GENESIS = "0" * 64
"""What the first entry of a chain names as the hash before it."""


class Problem(StrEnum):
    CHANGED = "does not have the hash of its content"
    REPLACED = "does not have the hash that is known of it elsewhere"
    MISSING = "is missing"
    UNCOUNTED = "was not counted when it was added"


@dataclass(frozen=True)
class Head:
    """Where a chain ends: the number and the hash of its last entry."""

    number: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Link:
    """An entry as the chain sees it. `content` is everything of it but the two hashes."""

    number: int
    content: Mapping[str, str | int | None]
    previous: str
    hash: str


@dataclass(frozen=True)
class Flaw:
    """The first bad entry of the chain `chain`: its number, and what is wrong with it."""

    chain: str
    number: int
    problem: Problem

    def __str__(self) -> str:
        return f"Entry {self.number} of the audit log {self.chain} {self.problem}."


def canonical(value: Any) -> str:
    """The one JSON text of `value`: keys sorted, no spaces, ASCII. What JSON has no word for is
    written as its `str`. Raises ValueError for NaN and the infinities."""
    options: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    return json.dumps(value, default=str, **options)


def digest(content: Mapping[str, str | int | None], previous: str) -> str:
    """The hash of an entry with `content` that comes after one with the hash `previous`:
    SHA-256 in hexadecimal."""
    text = canonical({**content, "previous": previous})
    return hashlib.sha256(text.encode()).hexdigest()


def first_flaw(chain: str, links: Iterable[Link], head: Head) -> Flaw | None:
    """The first bad entry among `links`, which come by their numbers and should end at `head`.

    Where an entry is sound but follows another hash than that of the entry before, it is the one
    before that somebody replaced, hash and all.
    """
    last = Head()
    for link in links:
        if link.number != last.number + 1:
            return Flaw(chain, last.number + 1, Problem.MISSING)
        if link.hash != digest(link.content, link.previous):
            return Flaw(chain, link.number, Problem.CHANGED)
        if link.previous != last.hash:
            return Flaw(chain, max(last.number, 1), Problem.REPLACED)
        last = Head(link.number, link.hash)
    if last.number < head.number:
        return Flaw(chain, last.number + 1, Problem.MISSING)
    return None if last == head else Flaw(chain, last.number, Problem.REPLACED)
