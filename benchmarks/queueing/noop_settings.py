"""The settings of a worker that claims, leases and settles files, but does nothing with them."""

from config.settings import *  # noqa: F403  all of them, and one other

QUEUE_HANDLERS = ["benchmarks.queueing.handlers.NoOp"]
