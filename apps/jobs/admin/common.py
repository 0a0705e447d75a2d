"""What the lists of jobs, files and attempts share."""

from datetime import datetime

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.admin import one_of
from apps.processors import registry
from apps.queue.models import Priority

CHANGE_JOB = "jobs.change_batchjob"
DELETE_JOB = "jobs.delete_batchjob"
PRIORITY = one_of("priority", [(str(value), label) for value, label in Priority.choices])
LANE = one_of("lane", sorted(settings.QUEUE_LANES))


def operations() -> list[str]:
    return sorted(registry.operations())


def span(start: datetime | None, end: datetime | None) -> str:
    """The time between two moments, in seconds below a minute; `-` while there is no end."""
    if start is None or end is None:
        return "-"
    seconds = (end - start).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def state_of(name: str) -> SafeString:
    return format_html('<span class="state state-{}">{}</span>', name, name.replace("_", " "))
