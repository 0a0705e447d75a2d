"""The handler of batch files without reading: what is left is the engine."""

from apps.jobs.handler import BatchFileHandler
from apps.queue.handlers import Control, Output
from apps.queue.models import LeasedRow


class NoOp(BatchFileHandler):
    """Every run succeeds at once and stores no result; all else is as for a file that is read."""

    def __init__(self) -> None:
        self._waiting = None

    def run(self, row: LeasedRow, control: Control) -> Output:
        return Output(None)

    def close(self) -> None:
        """There is no child to end."""

    @classmethod
    def settled(cls, row: LeasedRow, output: Output | None) -> None:  # noqa: ARG003  there is none
        super().settled(row, None)
