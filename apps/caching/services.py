"""What operators do to the cache, recorded: ending values by tag, kind or pattern, or all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from apps.audit.services import record
from apps.caching.invalidation import Invalidation, on_commit
from apps.caching.keys import TAGS, VALUES, class_of, kind_tag, tag_key
from apps.caching.kinds import TABLE
from apps.caching.statistics import batches
from apps.caching.stores import AnyCache, store
from apps.core.errors import InvalidInput, Unavailable

DROPPED_TOGETHER = 1000
EVERY = ":*"
"""How a pattern for all tags of a class ends."""


@dataclass(frozen=True)
class Chosen:
    """What is to be invalidated: kinds, tags as they were given, and the keys of the tags of the
    class that a pattern names. No value has one of the tags `unused`: a name may be misspelt."""

    kinds: tuple[str, ...]
    tags: tuple[str, ...]
    found: frozenset[str]
    unused: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        named = (*map(kind_tag, self.kinds), *self.tags)
        return self.found | {tag_key(tag) for tag in named}

    def __str__(self) -> str:
        told = [f"kind {kind}" for kind in self.kinds]
        told += [f"tag {tag}" + " (no value has it)" * (tag in self.unused) for tag in self.tags]
        if self.found:
            told.append(f"{len(self.found)} tags that are in use")
        return ", ".join(told)


def choose(*, tags: Sequence[str] = (), kinds: Sequence[str] = (), pattern: str = "") -> Chosen:
    """`pattern` is the name of a kind with * and ? in it, which costs nothing, or a class of tags
    (`org:*`): those in use are looked for among all keys, some at a time.

    Raises InvalidInput for what there is not, and Unavailable while Redis is away.
    """
    require_redis()
    for kind in kinds:
        if kind not in TABLE:
            raise InvalidInput(f"There is no kind {kind!r}, only {', '.join(TABLE)}.")
    try:
        for tag in tags:
            class_of(tag)
        by_pattern, found = _matching(pattern) if pattern else ((), frozenset[str]())
    except ValueError as error:
        raise InvalidInput(f"{error}.") from None
    each_kind, each_tag = dict.fromkeys((*kinds, *by_pattern)), dict.fromkeys(tags)
    chosen = Chosen(tuple(each_kind), tuple(each_tag), found, _unused(each_tag))
    if not chosen.keys:
        raise InvalidInput("Nothing is named: give a tag, a kind or a pattern that fits something.")
    return chosen


def _unused(tags: Iterable[str]) -> frozenset[str]:
    keys = {tag: tag_key(tag) for tag in tags}
    stamps = store().ask_shared(lambda cache: cache.get_many(list(keys.values()))) if keys else {}
    return frozenset(tag for tag, key in keys.items() if stamps is not None and key not in stamps)


def _matching(pattern: str) -> tuple[tuple[str, ...], frozenset[str]]:
    if pattern.endswith(EVERY):
        prefix = f"{TAGS}{class_of(pattern)}:"
        found = store().ask_shared(lambda cache: frozenset(cache.names(prefix)))
        if found is None:
            require_redis()
        return (), found or frozenset()
    return tuple(kind for kind in TABLE if fnmatchcase(kind, pattern)), frozenset()


@transaction.atomic
def invalidate_chosen(
    *, by: AbstractBaseUser | None, chosen: Chosen, soft: bool = False, reason: str = ""
) -> None:
    """Ends the values, in every process at its next request; with `soft` they are served while they
    are computed anew. Also while ENABLE_CACHING is false. Raises Unavailable while Redis is away.
    """
    require_redis()
    on_commit(Invalidation(chosen.keys, soft=soft))
    detail = {
        "kinds": list(chosen.kinds),
        "tags": list(chosen.tags),
        "found": len(chosen.found),
        "soft": soft,
    }
    record(
        organization=None,
        actor=by,
        action="cache.invalidate",
        target="cache",
        detail=detail,
        reason=reason,
    )


def clear(*, by: AbstractBaseUser | None, reason: str = "") -> int:
    """Ends all values and removes them from the store; how many were removed. Other things in the
    same Redis stay. Raises Unavailable while Redis is away."""
    require_redis()
    with transaction.atomic():
        keys = frozenset(tag_key(kind_tag(kind)) for kind in TABLE)
        on_commit(Invalidation(keys, soft=False))
        record(organization=None, actor=by, action="cache.clear", target="cache", reason=reason)
    return store().ask_shared(_drop) or 0


def _drop(cache: AnyCache) -> int:
    """To free their memory: nobody finds them any more already."""
    count = 0
    for keys in batches(cache.names(VALUES), DROPPED_TOGETHER):
        cache.delete_many(keys)
        count += len(keys)
    return count


def require_redis() -> None:
    """Raises Unavailable while Redis is away: this process might end before it could be told."""
    if store().ask_shared(_is_there) is None:
        raise Unavailable("Redis is away: it would go on with what it has.")


def _is_there(cache: AnyCache) -> bool:
    cache.probe()
    return True
