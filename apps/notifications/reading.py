"""Finding one notification for who asks."""

from uuid import UUID

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.notifications.models import Notification


def notification_of(actor: Actor, pk: UUID) -> Notification:
    """The actor's own. Raises NotFound."""
    row: Notification | None = (
        Notification.objects.told_to(actor).select_related("organization").filter(pk=pk).first()
    )
    if row is None:
        raise NotFound("There is no such notification, or it is not yours.")
    return row
