"""The queue in the admin: its board, the limits of lanes, and workers."""

from apps.queue.admin.board import BoardAdmin
from apps.queue.admin.lanes import LaneAdmin
from apps.queue.admin.workers import WorkerNodeAdmin

__all__ = ["BoardAdmin", "LaneAdmin", "WorkerNodeAdmin"]
