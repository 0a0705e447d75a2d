"""What of an audit entry is hashed, and where a chain of entries is broken."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

GENESIS = "0" * 64
"""What the first entry of a chain names as the hash before it."""

SLACK = 100
"""Past the end of a chain so many numbers are tried: those of entries that were moved down."""

Content = Mapping[str, str | int | None]


class Problem(StrEnum):
    CHANGED = "does not have the hash of its content"
    REPLACED = "does not have the hash that is known of it elsewhere"
    MISSING = "is missing"
    INSERTED = "was put in later"
    REORDERED = "stands at the place of another"
    UNCOUNTED = "was not counted when it was added"
    TRUNCATED = "and whatever came after it were taken away: a checkpoint knows of more"
    REWRITTEN = "does not have the hash that a checkpoint signed"
    UNSIGNED = "has a checkpoint that no trusted key signed"


@dataclass(frozen=True)
class Head:
    """Where a chain ends: the number and the hash of its last entry."""

    number: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Link:
    """An entry as the chain sees it. `content` is everything of it but the two hashes."""

    number: int
    content: Content
    previous: str
    hash: str


@dataclass(frozen=True)
class Known:
    """What a checkpoint says of a chain: which hash the entry `number` had. `is_signed`: by a key
    that is trusted. `at`: when, for people."""

    number: int
    hash: str
    is_signed: bool = True
    at: str = ""


@dataclass(frozen=True)
class Flaw:
    """The first bad entry of the chain `chain`: its number, and what is wrong with it.

    `entry` is what stands there now, as far as it can be read; `hint` says more, "" if nothing.
    """

    chain: str
    number: int
    problem: Problem
    entry: Content = field(default_factory=dict, compare=False)
    hint: str = field(default="", compare=False)

    def __str__(self) -> str:
        told = f"Entry {self.number} of the audit log {self.chain} {self.problem}."
        return f"{told} {self.hint}".rstrip()


def canonical(value: Any) -> str:
    """The one JSON text of `value`: keys sorted, no spaces, ASCII. What JSON has no word for is
    written as its `str`. Raises ValueError for NaN and the infinities."""
    options: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    return json.dumps(value, default=str, **options)


def digest(content: Content, previous: str) -> str:
    """The hash of an entry with `content` that comes after one with the hash `previous`:
    SHA-256 in hexadecimal."""
    text = canonical({**content, "previous": previous})
    return hashlib.sha256(text.encode()).hexdigest()


def first_flaw(
    chain: str,
    links: Iterable[Link],
    head: Head,
    known: Iterable[Known] = (),
    seen: Callable[[], object] = lambda: None,
) -> Flaw | None:
    """The first bad entry among `links`, which come by their numbers and should end at `head` and
    have the hashes that are `known`, which come by their numbers too. `seen` is called for each.

    Where an entry is sound but follows another hash than that of the entry before, it is the one
    before that somebody replaced, hash and all. Somebody who made all later hashes anew, and the
    head, is found by what is known from elsewhere.
    """
    last, walk = Head(), iter(links)
    witnesses = _Witnesses(known)
    for link in walk:
        seen()
        flaw = _flaw_of(chain, link, last, head, walk) or witnesses.against(chain, link)
        if flaw:
            return flaw
        last = Head(link.number, link.hash)
    if last.number < head.number:
        return Flaw(chain, last.number + 1, Problem.MISSING)
    if last != head:
        return Flaw(chain, last.number, Problem.REPLACED)
    return witnesses.of_more(chain, last)


def _flaw_of(chain: str, link: Link, last: Head, head: Head, after: Iterator[Link]) -> Flaw | None:
    """What is wrong with `link`, which comes after `last` and before those of `after`."""
    if link.number <= last.number:  # no other can be below the first
        origin = _origin(link, head)
        problem = Problem.MISSING if origin else Problem.INSERTED
        return Flaw(chain, origin or link.number, problem)
    if link.number != last.number + 1:
        return Flaw(chain, last.number + 1, Problem.MISSING)
    if link.hash != digest(link.content, link.previous):
        number, problem = _why_changed(link, after, head)
        return Flaw(chain, number, problem, link.content if number == link.number else {})
    if link.previous != last.hash:
        return Flaw(chain, max(last.number, 1), Problem.REPLACED)
    return None


class _Witnesses:
    """What is known of a chain from elsewhere, beside the entries as they come by."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.rest: Iterator[Known] = iter(known)
        self.next = next(self.rest, None)
        self.agreed = 0

    def against(self, chain: str, link: Link) -> Flaw | None:
        """What one of them says against `link`."""
        while self.next and self.next.number <= link.number:
            if not self.next.is_signed:
                return Flaw(chain, self.next.number, Problem.UNSIGNED, link.content)
            if self.next.number == link.number and self.next.hash != link.hash:
                told = f"It was signed at {self.next.at}. " if self.next.at else ""
                told += (
                    f"Up to entry {self.agreed} the log is as it was signed; some entry after that "
                    "was changed, and the hashes made anew."
                    if self.agreed
                    else "No checkpoint before it agrees either: any entry up to it may be another."
                )
                return Flaw(chain, link.number, Problem.REWRITTEN, link.content, told)
            self.agreed = self.next.number
            self.next = next(self.rest, None)
        return None

    def of_more(self, chain: str, last: Head) -> Flaw | None:
        """What is known past the end."""
        if self.next is None:
            return None
        if not self.next.is_signed:
            return Flaw(chain, self.next.number, Problem.UNSIGNED)
        upto = self.next.number
        for later in self.rest:
            upto = later.number if later.is_signed else upto
        hint = f"Entries up to {upto} were signed; the last that is there is {last.number}."
        return Flaw(chain, last.number + 1, Problem.TRUNCATED, hint=hint)


def _why_changed(bad: Link, after: Iterator[Link], head: Head) -> tuple[int, Problem]:
    """The number of the first bad entry where the hash of `bad` is not that of its content, and
    what was done. Entries hold their number, so one that has the hash of its content with another
    number was moved."""
    origin = _origin(bad, head)
    if origin is None:
        then = next(after, None)
        was_put_in = then is not None and _was(bad.number, then)
        return bad.number, Problem.INSERTED if was_put_in else Problem.CHANGED
    if origin < bad.number:
        return origin, Problem.INSERTED
    is_elsewhere = any(_was(bad.number, link) for link in after)
    return bad.number, Problem.REORDERED if is_elsewhere else Problem.MISSING


def _was(number: int, link: Link) -> bool:
    """Whether `link` has the hash of its content with `number`."""
    return link.hash == digest({**link.content, "number": number}, link.previous)


def _origin(link: Link, head: Head) -> int | None:
    """The number with which `link` has the hash of its content, if there is one."""
    for number in range(1, max(head.number, link.number) + SLACK):
        if _was(number, link):
            return number
    return None
