"""Names in the store: keyed hashes, so that who reads them learns nothing, and cannot find out what
was asked by trying. With another SECRET_KEY everything begins anew.

    v:<kind>:<hash of function and arguments>     a value
    t:<class>:<hash of the tag>                   the stamp of a tag; of `org:7` the class is `org`
    l:<hash of key and stamps>                    held by who computes a value
    n:<minute>                                    what was counted in it
"""

import enum
import json
import uuid
from collections.abc import Hashable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

VALUES, TAGS, LOCKS, NUMBERS = "v:", "t:", "l:", "n:"
SCALARS = (str, int, float, bool, type(None))
EXACT = (uuid.UUID, Decimal, datetime, date, time, timedelta, bytes)
TOLD = frozenset((*SCALARS, *EXACT))
"""Arguments that their `repr` tells in full, and apart from those of other types."""

_dumped = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode


def value_key(kind: str, function: str, arguments: Sequence[Any]) -> str:
    """Of what `function` (its name and version) gives for `arguments`, in the order of its
    parameters. Raises TypeError for one that does not say all there is to it."""
    told = [each if type(each) in TOLD else (_dumped(_canonical(each)),) for each in arguments]
    return f"{VALUES}{kind}:{digest(f'{function}{told}'.encode()).hex()}"


def lock_key(key: str, stamps: bytes) -> str:
    """Of who computes the value of `key` as of `stamps`: one that is asked for after an
    invalidation does not wait for one from before it."""
    return f"{LOCKS}{digest(key.encode() + stamps).hex()}"


@lru_cache(maxsize=8192)
def tag_key(tag: str) -> str:
    name = tag.encode(errors="surrogatepass")
    return f"{TAGS}{class_of(tag)}:{digest(name).hex()}"


@lru_cache(maxsize=8192, typed=True)
def tenant_key(tenant: Hashable) -> str:
    """The key of the tag that all values of an organization have, by its id."""
    return tag_key(tenant_tag(tenant))


def kind_tag(kind: str) -> str:
    """The tag that all values of a kind have."""
    return f"kind:{kind}"


def tenant_tag(tenant: object) -> str:
    """The tag that all values of an organization have, by its id."""
    return f"org:{tenant}"


def class_of(tag: str) -> str:
    """What stands before the colon of a tag. Raises ValueError for what is no tag."""
    name, _, rest = tag.partition(":")
    if not rest or not name.isascii() or not name.replace("-", "").isalnum():
        raise ValueError(f"{tag!r} is no tag: those are a class and a name, such as org:7")
    return name


def digest(data: bytes) -> bytes:
    """16 bytes that stand for `data`, and that nobody without SECRET_KEY can make."""
    return blake2b(data, digest_size=16, key=_secret()).digest()


@cache
def _secret() -> bytes:
    return blake2b(settings.SECRET_KEY.encode(), person=b"docmill cache").digest()


def _canonical(value: Any) -> Any:
    """As JSON, with the types told apart."""
    if isinstance(value, enum.Enum):
        return {"": [type(value).__qualname__, value.name]}
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, EXACT):
        return {"": [type(value).__qualname__, repr(value)]}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, set | frozenset):
        return {"": ["set", sorted(_dumped(_canonical(each)) for each in value)]}
    if isinstance(value, dict) and all(type(each) is str for each in value):
        return {f":{name}": _canonical(each) for name, each in value.items()}
    raise TypeError(f"{type(value).__qualname__} is no argument to keep values by: give its id")


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "SECRET_KEY":
        _secret.cache_clear()
        tag_key.cache_clear()
        tenant_key.cache_clear()


setting_changed.connect(_forget)
