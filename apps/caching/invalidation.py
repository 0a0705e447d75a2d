"""Ending values by their tags: at the commit of what changed them, and only then."""

from typing import Any

from django.conf import settings
from django.db import transaction

from apps.caching.keys import kind_tag, tag_key
from apps.caching.kinds import TABLE
from apps.caching.stores import store


class Invalidation:
    """What `transaction.on_commit` calls. Django forgets it with the transaction, or the part of
    it, that is rolled back."""

    def __init__(self, keys: frozenset[str], *, soft: bool) -> None:
        self.keys = keys
        self.soft = soft

    def __call__(self) -> None:
        store().invalidate(self.keys, soft=self.soft)


def invalidate(*tags: str, soft: bool = False) -> None:
    """No value that has one of `tags` is served any more; with `soft` it is served while it is
    computed anew.

    In force in every process at its next request once the transaction is committed. Until then the
    transaction itself computes such values, and keeps none of them. A process that is killed
    between the commit and this leaves them until their time is over.
    """
    if settings.ENABLE_CACHING:
        keys = frozenset(tag_key(tag) for tag in tags)
        on_commit(Invalidation(keys, soft=soft))


def on_commit(invalidation: Invalidation) -> None:
    """Before whatever else happens at the commit: who hears of the change asks at once, and some of
    it takes long."""
    transaction.on_commit(invalidation, robust=True)
    hooks: list[Any] = transaction.get_connection().run_on_commit
    if hooks:
        hooks.insert(0, hooks.pop())


def invalidate_kind(name: str, *, soft: bool = False) -> None:
    """The same for all values of a kind. Raises KeyError where there is none of that name."""
    if name not in TABLE:
        raise KeyError(name)
    invalidate(kind_tag(name), soft=soft)


def is_uncommitted(tags: tuple[str, ...]) -> bool:
    """Whether the running transaction has changed what has one of these keys of tags: what is
    stored is too old for it, and what it computes is not true yet for anybody else."""
    connection: Any = transaction.get_connection()
    if not connection.in_atomic_block:
        return False
    hooks = (entry[1] for entry in connection.run_on_commit)
    return any(isinstance(hook, Invalidation) and not hook.keys.isdisjoint(tags) for hook in hooks)
