"""System checks: refuse to start with a cache that means nothing."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.core.exceptions import ImproperlyConfigured

from apps.caching.kinds import TABLE, parse_kind, setting_of
from apps.caching.memory_cache import MemoryCache
from apps.caching.shared_cache import SharedCache
from apps.caching.stores import ALIAS, store
from apps.core.checks import SETTINGS

MIN_LOCAL_ENTRIES = 100
MIN_LOCAL_BYTES = 100_000


@register(SETTINGS)
def check_cache(**_: Any) -> list[Error]:
    """caching.E001 times of a kind, E002 bounds, E003 the cache itself."""
    errors = []
    for name in TABLE:
        try:
            parse_kind(name, getattr(settings, setting_of(name)))
        except ValueError as error:
            errors.append(Error(f"{setting_of(name)}: {error}.", id="caching.E001"))
    for name, least in (
        ("CACHE_LOCAL_ENTRIES", MIN_LOCAL_ENTRIES),
        ("CACHE_LOCAL_BYTES", MIN_LOCAL_BYTES),
    ):
        if getattr(settings, name) < least:
            errors.append(Error(f"{name} must be at least {least}.", id="caching.E002"))
    return errors + _of_store()


def _of_store() -> list[Error]:
    """What is wrong with the cache itself; nothing is sent to it."""
    is_own = settings.CACHES[ALIAS]["LOCATION"] != settings.REDIS_URL
    try:
        shared: Any = store().shared
        if isinstance(shared, SharedCache):
            shared.client.get_client(write=True)
    except (ValueError, ImproperlyConfigured) as error:
        # Of the address that all share, core.E006 tells.
        return [Error(f"CACHE_REDIS_URL: {error}", id="caching.E003")] if is_own else []
    if not isinstance(shared, SharedCache | MemoryCache):
        told = f'CACHES["{ALIAS}"] must be one of apps.caching: others know no tags.'
        return [Error(told, id="caching.E003")]
    return []
