"""How many jobs an organization has in each state: counted once, until that changes."""

from typing import Any
from uuid import UUID

from django.db.models import Count

from apps.caching.decorators import cached
from apps.caching.invalidation import invalidate
from apps.jobs.models import BatchJob
from apps.jobs.states import OPEN

IN_PROGRESS = "open"
"""In place of the states that a job has until it ends: it changes between them all the time."""


def _tag(organization_id: UUID) -> str:
    return f"jobs:{organization_id}"


@cached("metrics", tenant="organization_id", tags=lambda organization_id: [_tag(organization_id)])
def jobs_by_state(organization_id: UUID) -> dict[str, int]:
    """State (IN_PROGRESS, or one in which jobs end) -> jobs; none where there are none."""
    rows: Any = BatchJob.objects.filter(organization_id=organization_id).order_by()
    counted: dict[str, int] = {}
    for state, count in rows.values_list("state").annotate(Count("pk")):
        name = IN_PROGRESS if state in OPEN else state
        counted[name] = counted.get(name, 0) + count
    return counted


def jobs_changed(*organization_ids: UUID) -> None:
    """A job of these came, went, ended or began anew: counted anew once that is committed."""
    invalidate(*map(_tag, organization_ids))
