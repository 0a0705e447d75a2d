"""What notifications keep of organizations and people."""

from collections.abc import Iterator

from apps.accounts.belongings import Belongings, Row
from apps.accounts.models import Organization, User
from apps.notifications.models import Notification, Preferences

CHUNK = 1000
TOLD = ("kind", "organization_id", "facts", "told_at", "read_at")


class NotificationBelongings(Belongings):
    """They go with their organization by themselves, but then all at once."""

    def remove(self, organization: Organization) -> None:
        mine = Notification.objects.in_organization(organization).order_by("pk")
        while ids := list(mine.values_list("pk", flat=True)[:CHUNK]):
            Notification.objects.filter(pk__in=ids).delete()

    def of_person(self, user: User) -> Iterator[tuple[str, Iterator[Row]]]:
        told = Notification.objects.filter(user=user).order_by("pk")
        yield "notifications", told.values(*TOLD).iterator(CHUNK)
        chosen = Preferences.objects.filter(user=user).values("choices")
        yield "notification-preferences", chosen.iterator()
