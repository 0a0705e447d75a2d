"""The kinds of notifications. A new one is a file here and a line in the list below."""

from apps.notifications.kinds.export_ready import EXPORT_READY
from apps.notifications.kinds.file_quarantined import FILE_QUARANTINED
from apps.notifications.kinds.job_finished import JOB_FINISHED
from apps.notifications.kinds.member_added import MEMBER_ADDED
from apps.notifications.kinds.message import MESSAGE
from apps.notifications.kinds.queue_paused import QUEUE_PAUSED
from apps.notifications.kinds.told import Kind, Told
from apps.notifications.kinds.webhook_disabled import WEBHOOK_DISABLED

__all__ = ["KINDS", "Kind", "Told", "kind_choices"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        JOB_FINISHED,
        FILE_QUARANTINED,
        EXPORT_READY,
        QUEUE_PAUSED,
        MEMBER_ADDED,
        WEBHOOK_DISABLED,
        MESSAGE,
    )
}


def kind_choices() -> list[tuple[str, str]]:
    """Each kind and what it is called. A function, which a migration names and does not copy: a new
    kind needs none."""
    return [(kind.name, kind.label) for kind in KINDS.values()]
