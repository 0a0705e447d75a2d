"""The queue in the admin: its board, limits, workers, recurring work and pieces of other work."""

from apps.queue.admin.board import BoardAdmin
from apps.queue.admin.lanes import LaneAdmin
from apps.queue.admin.schedules import PeriodicRunAdmin
from apps.queue.admin.work_items import WorkItemAdmin
from apps.queue.admin.workers import WorkerNodeAdmin

__all__ = ["BoardAdmin", "LaneAdmin", "PeriodicRunAdmin", "WorkItemAdmin", "WorkerNodeAdmin"]
