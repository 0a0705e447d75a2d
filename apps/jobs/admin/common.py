"""What the lists of jobs, files and attempts share."""

from django.conf import settings

from apps.core.admin import one_of
from apps.processors import registry
from apps.queue.models import Priority

PRIORITY = one_of("priority", [(str(value), label) for value, label in Priority.choices])
LANE = one_of("lane", sorted(settings.QUEUE_LANES))


def operations() -> list[str]:
    return sorted(registry.operations())
