"""What the API and the pages say of notifications."""

from django.conf import settings

from apps.core.errors import Unavailable


class NotificationsDisabled(Unavailable):
    code = "notifications.disabled"
    title = "Notifications are switched off here"


def require_enabled() -> None:
    """Raises NotificationsDisabled where ENABLE_NOTIFICATIONS is off."""
    if not settings.ENABLE_NOTIFICATIONS:
        raise NotificationsDisabled("Those who run this installation have switched them off.")
