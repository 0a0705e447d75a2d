"""A worker that fails on documents that say so, with what they say in its error."""

from apps.jobs import storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.processors.protocol import Document, Options, Report
from apps.queue.handlers import Control


class FailingHandler(BatchFileHandler):
    def _extract(self, file: BatchFile, options: Options, control: Control) -> object:  # type: ignore[override]
        text = storage.path_of(file.content).read_text()
        if text.startswith("crash"):
            raise RuntimeError(f"cannot read {file.name}: {text}")
        return super()._extract(file, options, control)


class BuggyProcessor:
    """Fails in the child, in a way it should not."""

    name = "buggy"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"csv"})

    def run(self, document: Document, report: Report) -> None:
        raise ValueError(document.path.read_text())
