"""Functions whose values are kept.

@cached("text", tenant="organization_id", tags=lambda organization_id, sha256: [f"blob:{sha256}"])
def text_of(organization_id: UUID, sha256: str) -> str: ...

text_of(organization.pk, sha256)             # the value
text_of.outcome(organization.pk, sha256)     # and how it was come by, for `http.respond`
invalidate(f"blob:{sha256}")
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from django.conf import settings

from apps.caching.cache import Call, Outcome, cache
from apps.caching.invalidation import is_uncommitted
from apps.caching.keys import kind_tag, tag_key, tenant_key, value_key
from apps.caching.kinds import TABLE, kinds

P = ParamSpec("P")
T = TypeVar("T")
Tags = Sequence[str] | Callable[..., Iterable[str]]

FUNCTIONS: dict[str, "Cached[Any, Any]"] = {}
"""Every function whose values are kept, by its name."""


class Cached(Generic[P, T]):
    """Called like the function. Its value must be text, bytes or what JSON can say: what is given
    back is what JSON makes of it, the first time too. What the function raises is not kept."""

    def __init__(
        self, work: Callable[P, T], *, kind: str, tenant: str | None, tags: Tags, version: int
    ) -> None:
        self.kind = kind
        self.tenant = tenant
        self._work = work
        self._tags = tags
        self._name = f"{work.__module__}.{work.__qualname__}"
        self._id = f"{self._name} {version}"
        self._parameters = _parameters(work)
        self._fixed = (tag_key(kind_tag(kind)),)
        if kind not in TABLE:
            raise KeyError(kind)
        if tenant is not None and tenant not in self._parameters:
            raise ValueError(f"{self._name} has no parameter {tenant}")
        update_wrapper(self, work)
        FUNCTIONS[self._name] = self

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        value: T = self.outcome(*args, **kwargs).value
        return value

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        """The value, and whether it was there."""
        call = self.call(*args, **kwargs)
        if not settings.ENABLE_CACHING or call.kind.is_off or is_uncommitted(call.tags):
            return cache.bypass(call)
        return cache.get(call)

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """The value for these arguments is removed from the store."""
        if settings.ENABLE_CACHING:
            cache.forget(self.call(*args, **kwargs))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """What is asked of the cache for these arguments. Raises ValueError without a tenant."""
        given = self._given(args, kwargs)
        tags = self._tags(*args, **kwargs) if callable(self._tags) else self._tags
        keys = [*self._fixed, *map(tag_key, tags)]
        if self.tenant is not None:
            tenant = given[self.tenant]
            if tenant in (None, ""):
                raise ValueError(f"{self._name} without a tenant: {self.tenant} is {tenant!r}")
            keys.append(tenant_key(tenant))
        return Call(
            kinds()[self.kind],
            value_key(self.kind, self._id, list(given.values())),
            tuple(dict.fromkeys(keys)),
            lambda: self._work(*args, **kwargs),
        )

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Every parameter's value, in their order, however it was given."""
        if not kwargs and len(args) == len(self._parameters):
            return dict(zip(self._parameters, args, strict=True))
        given = self._parameters | dict(zip(self._parameters, args, strict=False)) | kwargs
        if len(args) > len(self._parameters) or len(given) != len(self._parameters):
            raise TypeError(f"{self._name} does not take these arguments")
        if inspect.Parameter.empty in given.values():
            raise TypeError(f"{self._name} lacks an argument")
        return given


def cached(
    kind: str, *, tenant: str | None, tags: Tags = (), version: int = 1
) -> Callable[[Callable[P, T]], Cached[P, T]]:
    """Keeps the function's values, by all of its arguments, for the time of `kind`.

    `tenant` is the parameter with the id of the organization whose the value is; None says that it
    is nobody's. The value is tagged with it, and with `tags`, which may be computed from the
    arguments. A new `version` begins anew: when the same arguments come to give something else.
    """

    def decorate(work: Callable[P, T]) -> Cached[P, T]:
        return Cached(work, kind=kind, tenant=tenant, tags=tags, version=version)

    return decorate


def _parameters(work: Callable[..., Any]) -> dict[str, Any]:
    """Its parameters with their defaults. Raises TypeError for one that takes any number."""
    found = inspect.signature(work).parameters
    if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in found.values()):
        raise TypeError(f"{work.__qualname__} must name its parameters to be kept by them")
    return {name: each.default for name, each in found.items()}
