"""Backups that are made by themselves: beat asks, a worker makes."""

from typing import Any

from django.conf import settings

from apps.backups import making
from apps.backups.errors import BackupFailed
from apps.queue.handlers import Control, RunFailed, RunStopped
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.work_items import submit_work

KIND = "backups.make"
RETRY_SECONDS = (600.0, 3600.0)


def ask_for_backup() -> None:
    """Queues one unless one waits or is being made. Recurring."""
    submit_work(by=None, kind=KIND, title="Backup", payload={}, dedupe_key="backup")


def run(_: WorkItem, control: Control) -> dict[str, Any]:
    """Makes it in BACKUP_DIR of this worker's machine. Raises RunFailed and RunStopped."""

    def tell(done: int, total: int) -> None:
        if control.should_stop():
            raise RunStopped
        control.report("backing up", done / total if total else 0.0)

    try:
        made = making.make(making.plan(None), keep=settings.BACKUP_KEEP, tell=tell)
    except BackupFailed as error:
        # Not the storage's failure: the lane goes on, and the next backup is asked for anyway.
        failure = Failure(
            FailureClass.TRANSIENT, "work.backup_failed", str(error), waits=RETRY_SECONDS
        )
        raise RunFailed(failure) from error
    return {"path": str(made.path), "files": made.files, "lost": len(made.lost)}
