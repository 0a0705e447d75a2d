"""Exports in states that they do not stay in by themselves; run inside the service."""

from apps.jobs.models import Export
from apps.queue.models import Lane, WorkItem
from apps.queue.states import State


def hold() -> None:
    """No export is built from now on."""
    Lane.objects.update_or_create(name="export", defaults={"max_running": 0})
    Export.objects.filter(format="ndjson").update(fingerprint="of what was there before")


def fail(made: str) -> None:
    """The export in that format that waits has failed."""
    items = WorkItem.objects.filter(pk__in=Export.objects.filter(format=made).values("item"))
    items.update(
        state=State.FAILED,
        error_code="queue.error",
        error_detail="Something went wrong on our side.",
    )
