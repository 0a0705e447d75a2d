"""The kinds of values that are kept, each for its own time: the defaults are in
`config/settings.py`, one setting each."""

from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed

from apps.core.durations import seconds_of

TABLE = {
    "analysis": "what an analysis found in a document",
    "metrics": "counts and statistics",
    "search": "what a search found",
    "metadata": "descriptions of things, such as the schema of the API",
    "text": "texts and extractions of files",
    "embeddings": "what a text means, as numbers",
    "default": "whatever names no kind",
}
"""Name -> what is kept, for people."""
OFF = "off"
MAX_SECONDS = 86_400
"""Tags are remembered for longer than the oldest value of any kind."""


class Kind(NamedTuple):
    """For how many seconds a value is fresh, and for how many more it is served while it is
    computed anew. A `ttl` of 0 keeps nothing."""

    name: str
    ttl: int
    grace: int

    @property
    def is_off(self) -> bool:
        return self.ttl == 0

    @property
    def kept(self) -> int:
        """Seconds until it is gone: the last of them serve it only where computing it fails."""
        return self.ttl + 2 * self.grace


def setting_of(name: str) -> str:
    """The setting with the times of the kind `name`."""
    return f"CACHE_{name.upper()}"


def parse_kind(name: str, text: str) -> Kind:
    """`10min + 1h`: fresh for ten minutes, then served for an hour while it is computed anew.

    Without a second time that is as long as the first; `off` keeps nothing. Raises ValueError.
    """
    if text.strip().lower() == OFF:
        return Kind(name, 0, 0)
    ttl, _, grace = text.partition("+")
    kind = Kind(name, seconds_of(ttl), seconds_of(grace) if grace else seconds_of(ttl))
    if not 1 <= kind.ttl <= MAX_SECONDS or kind.grace > MAX_SECONDS:
        raise ValueError(f"{text!r}: times are from 1 second to a day; {OFF} keeps nothing")
    return kind


@cache
def kinds() -> dict[str, Kind]:
    """All kinds by name, in the order of the table. Raises ValueError for a bad setting."""
    return {name: parse_kind(name, getattr(settings, setting_of(name))) for name in TABLE}


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith("CACHE_"):
        kinds.cache_clear()


setting_changed.connect(_forget)
