"""What apps below tell of: see `settings.LISTENERS`."""

from datetime import datetime
from uuid import UUID

from apps.accounts.models import Membership
from apps.notifications.kinds.member_added import MEMBER_ADDED
from apps.notifications.kinds.webhook_disabled import WEBHOOK_DISABLED
from apps.notifications.services import forget, notify, revise, roles_that_may


def member_added(membership: Membership) -> None:
    notify(
        kind=MEMBER_ADDED.name,
        key=f"member:{membership.pk}",
        organization_id=membership.organization_id,
        users=[membership.user_id],
        facts={"organization": membership.organization.name, "role": membership.role},
    )


def webhook_disabled(
    *, organization_id: UUID, endpoint_id: UUID, title: str, reason: str, since: datetime
) -> None:
    notify(
        kind=WEBHOOK_DISABLED.name,
        key=_webhook(endpoint_id),
        organization_id=organization_id,
        roles=roles_that_may("update", "webhooks"),
        facts={
            "endpoint": str(endpoint_id),
            "title": title,
            "reason": reason,
            "since": since.isoformat(),
            "is_over": False,
        },
    )


def webhook_enabled(endpoint_id: UUID) -> None:
    revise(_webhook(endpoint_id), {"is_over": True})


def webhook_deleted(endpoint_id: UUID) -> None:
    forget([_webhook(endpoint_id)])


def _webhook(endpoint_id: UUID) -> str:
    return f"webhook:{endpoint_id}"
