"""System checks: refuse to start with limits that mean nothing."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.checks import Error, register

from apps.core.checks import SETTINGS
from apps.core.clients import trusted_networks
from apps.ratelimits.guard import guard_window
from apps.ratelimits.limiters import TABLE, setting_of
from apps.ratelimits.redis_store import RedisStore
from apps.ratelimits.stores import MEMORY
from apps.ratelimits.windows import parse_windows


@register(SETTINGS)
def check_limits(**_: Any) -> list[Error]:
    """ratelimits.E001 windows, E002 a name, E003 proxies, E004 an address of Redis."""
    errors = [
        Error(f"{setting_of(name)}: {told}.", id="ratelimits.E001")
        for name in TABLE
        if (told := _told(parse_windows, getattr(settings, setting_of(name))))
    ]
    errors += [
        Error(
            f"LIMITS_FAIL_CLOSED: there is no limiter {name!r}, only {', '.join(TABLE)}.",
            id="ratelimits.E002",
        )
        for name in settings.LIMITS_FAIL_CLOSED
        if name not in TABLE
    ]
    if told := _told(guard_window, settings.LIMIT_GUARD):
        errors.append(Error(f"LIMIT_GUARD: {told}.", id="ratelimits.E001"))
    if told := _told(trusted_networks, settings.TRUSTED_PROXIES):
        errors.append(Error(f"TRUSTED_PROXIES: {told}.", id="ratelimits.E003"))
    if settings.TRUSTED_PROXY_COUNT < 1:
        told = "TRUSTED_PROXY_COUNT must be at least 1; TRUSTED_PROXIES= trusts nobody."
        errors.append(Error(told, id="ratelimits.E003"))
    url = settings.LIMITS_REDIS_URL
    is_own = url not in (MEMORY, settings.REDIS_URL)  # of the shared one core.E006 tells
    if is_own and (told := _told(RedisStore, url)):
        errors.append(Error(f"LIMITS_REDIS_URL: {told}", id="ratelimits.E004"))
    return errors


def _told(read: Callable[[Any], object], value: object) -> str:
    """What is wrong with `value`; "" for nothing."""
    try:
        read(value)
    except ValueError as error:
        return str(error)
    return ""
