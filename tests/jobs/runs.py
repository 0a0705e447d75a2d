"""Ending the best waiting file in a way of the test's own choosing, through the real engine."""

from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import Scripted, claimed, failure_of


def read_next(text: str = "what was read", lane: str = "default") -> BatchFile:
    """The best file of the lane, which succeeds with one page of `text`."""
    file = claimed(lane)
    assert succeed(BatchFileHandler, file, Scripted().read(text))
    return file


def fail_next(
    failure_class: FailureClass = FailureClass.PERMANENT,
    *,
    partial: str = "",
    lane: str = "default",
) -> BatchFile:
    """The best file of the lane, whose run ends with that failure, `partial` saved of it."""
    file = claimed(lane)
    output = Scripted().read(partial).value if partial else None
    assert fail(BatchFileHandler, file, failure_of(failure_class, output=output))
    return file
