"""The queue in the admin."""

from apps.queue.admin.work_items import WorkItemAdmin

__all__ = ["WorkItemAdmin"]
