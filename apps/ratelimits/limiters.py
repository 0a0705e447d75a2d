"""The named limiters: the defaults are in `config/settings.py`, one setting each."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from apps.ratelimits.ledger import Fallback
from apps.ratelimits.subjects import Kind
from apps.ratelimits.windows import Window, parse_windows


@dataclass(frozen=True, slots=True)
class Limiter:
    """A named limit. `per` are the kinds of subject that it counts, each by itself; `counts` says
    what a hit is, for people."""

    name: str
    windows: tuple[Window, ...]
    per: tuple[Kind, ...]
    fallback: Fallback
    counts: str

    @property
    def setting(self) -> str:
        return setting_of(self.name)


_CALLER = (Kind.USER, Kind.KEY)
# name -> whom it counts, and what
TABLE: dict[str, tuple[tuple[Kind, ...], str]] = {
    "auth": ((Kind.ADDRESS, Kind.ACCOUNT), "failed sign-ins, sign-ups and resets of passwords"),
    "api": (_CALLER, "requests to the API"),
    "live": ((Kind.SESSION,), "what an open page asks for by itself"),
    "anonymous": ((Kind.ADDRESS,), "requests of who is not signed in"),
    "search": (_CALLER, "searches"),
    "chat": (_CALLER, "questions"),
    "ai": (_CALLER, "requests that ask an AI, all together"),
    "deep-analysis": (_CALLER, "deep analyses, each of one request"),
    "cost-analysis": (_CALLER, "cost analyses, each of one request"),
    "ocr": (_CALLER, "requests for OCR"),
    "batch-upload": (_CALLER, "batches that were accepted"),
    "upload": ((Kind.ORGANIZATION,), "single documents"),
    "share": ((Kind.ORGANIZATION,), "shares that were made"),
    "global": ((Kind.EVERYTHING,), "all requests together"),
}
IN_SQL = {"auth"}
"""Guessing passwords must not become cheaper because Redis is away."""


def setting_of(name: str) -> str:
    """The setting with the windows of the limiter `name`."""
    return f"LIMIT_{name.upper().replace('-', '_')}"


@cache
def limiters() -> dict[str, Limiter]:
    """All limiters by name, in the order of the table. Raises BadWindows for a bad setting."""
    return {
        name: Limiter(
            name, parse_windows(getattr(settings, setting_of(name))), per, fallback(name), counts
        )
        for name, (per, counts) in TABLE.items()
    }


def limiter(name: str) -> Limiter:
    """The limiter `name`. Raises KeyError where there is none: names are written in code."""
    return limiters()[name]


def fallback(name: str) -> Fallback:
    """Where the limiter `name` counts while Redis is away."""
    if name in settings.LIMITS_FAIL_CLOSED:
        return Fallback.CLOSED
    return Fallback.SQL if name in IN_SQL else Fallback.MEMORY


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith("LIMIT"):
        limiters.cache_clear()


setting_changed.connect(_forget)
