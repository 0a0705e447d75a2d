"""How many unread notifications somebody has: what the bell says."""

from dataclasses import dataclass
from datetime import datetime

from apps.accounts.actor import Actor
from apps.notifications.models import MANY, Notification


@dataclass(frozen=True)
class Badge:
    """`count` goes up to MANY; `newest` is when the newest of them was told, None for none."""

    count: int
    newest: datetime | None

    @classmethod
    def of(cls, actor: Actor) -> "Badge":
        """One read, of MANY entries of an index at most."""
        unread = Notification.objects.shown_to(actor).unread().order_by("-told_at")
        told = list(unread.values_list("told_at", flat=True)[:MANY])  # quicker than to aggregate
        return cls(len(told), told[0] if told else None)

    @property
    def is_many(self) -> bool:
        return self.count >= MANY

    @property
    def label(self) -> str:
        """The count as a bubble has room for, "" for none."""
        if self.is_many:
            return f"{MANY - 1}+"
        return str(self.count or "")

    @property
    def etag(self) -> str:
        return f'"{self.count}-{self.newest.timestamp() if self.newest else 0}"'
