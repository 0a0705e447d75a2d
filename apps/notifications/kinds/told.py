"""What a kind of notification is: how it is called, and how its facts are put into words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
"""What is stored of an event, as JSON has it."""
Route = tuple[str, ...]
"""The name of a route and the arguments of its path."""


@dataclass(frozen=True)
class Told:
    """A notification in words: `subject` is what it is about, by a name that somebody gave it,
    `what` happened to it; `text` says more. `page` and `api` lead to the thing itself. `symbol` is
    one of `web/icons.svg` where the kind's does not fit."""

    subject: str
    what: str = ""
    text: str = ""
    page: Route = ()
    api: Route = ()
    symbol: str = ""

    @property
    def title(self) -> str:
        return f"{self.subject}: {self.what}" if self.what else self.subject


@dataclass(frozen=True)
class Kind:
    """`name` is stored and stays; `label` and `about` are for people who choose what they want to
    be told; `symbol` is one of `web/icons.svg`."""

    name: str
    label: str
    about: str
    symbol: str
    tell: Callable[[Facts], Told]


def counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
