"""System checks: what is set for webhooks can be done."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from apps.core.checks import SETTINGS

MAX_WAITS = 20


@register(SETTINGS)
def waits_can_be_waited(**_: object) -> list[CheckMessage]:
    """webhooks.E001: WEBHOOK_RETRY_SECONDS has none, too many, or one that is no wait."""
    waits = settings.WEBHOOK_RETRY_SECONDS
    if 1 <= len(waits) <= MAX_WAITS and all(0 < each <= 24 * 3600 for each in waits):
        return []
    told = f"WEBHOOK_RETRY_SECONDS takes 1 to {MAX_WAITS} waits, each of more than 0 s up to a day."
    return [Error(told, id="webhooks.E001")]
