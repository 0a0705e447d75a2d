"""What webhooks are told by the apps beside them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from apps.accounts.models import Membership, Organization
from apps.webhooks.outbox import publish


def notified(
    *, organization_id: UUID, kind: str, key: str, facts: Mapping[str, Any], users: Sequence[int]
) -> None:
    """`users` of the organization were told something, and want it sent to its endpoints. A later
    state of the same thing is another event. In the transaction of what is told."""
    organization = Organization(pk=organization_id)
    members = Membership.objects.in_organization(organization).filter(user__in=users)
    state = json.dumps(facts, sort_keys=True, default=str)
    publish(
        organization=organization,
        event="notification.created",
        key=f"{key} {state}",
        data={
            "kind": kind,
            "facts": dict(facts),
            "members": sorted(str(pk) for pk in members.values_list("public_id", flat=True)),
        },
    )
