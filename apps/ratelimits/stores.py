"""The store of this process, made from the settings on first use."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from django.core.signals import setting_changed

from apps.ratelimits.ledger import Answer, Ask
from apps.ratelimits.memory_store import MemoryStore

PREFIX = "docmill:limits:"
"""Begins every key of the limits in Redis."""


class Store(Protocol):
    """Where hits are counted."""

    def decide(self, asks: Sequence[Ask], *, hit: bool) -> Answer:
        """One verdict for each ask; counts them if `hit` and all have room."""

    def refund(self, asks: Sequence[Ask], at_ms: int) -> None:
        """Takes back what a decision at `at_ms` counted for `asks`."""

    def forget(self, keys: Sequence[str]) -> None:
        """The counts of these keys begin anew."""


@cache
def store() -> Store:
    """The store that LIMITS_REDIS_URL names, with what stands in for it while it is away."""
    return MemoryStore()


def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"LIMITS_REDIS_URL", "REDIS_URL"}:
        store.cache_clear()


setting_changed.connect(_forget)
