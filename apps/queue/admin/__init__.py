"""The queue in the admin: its board, the limits of lanes, workers, and recurring work."""

from apps.queue.admin.board import BoardAdmin
from apps.queue.admin.lanes import LaneAdmin
from apps.queue.admin.schedules import PeriodicRunAdmin
from apps.queue.admin.workers import WorkerNodeAdmin

__all__ = ["BoardAdmin", "LaneAdmin", "PeriodicRunAdmin", "WorkerNodeAdmin"]
