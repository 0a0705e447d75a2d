"""The best waiting file, read by a real reader in a process of its own."""

from apps.jobs.handler import BatchFileHandler
from apps.queue.handlers import RunFailed
from apps.queue.settle import fail, succeed
from tests.batches import claimed
from tests.jobs.exporting import GOES_ON


def read_really() -> None:
    """It is settled as it came out."""
    file, handler = claimed(), BatchFileHandler()
    try:
        is_settled = succeed(BatchFileHandler, file, handler.run(file, GOES_ON))
    except RunFailed as failed:
        is_settled = fail(BatchFileHandler, file, failed.failure)
    finally:
        handler.close()
    assert is_settled
