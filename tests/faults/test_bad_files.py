"""Four files that each take their reader down in another way, among 46 good ones."""

import pytest

from apps.jobs.models import BatchFile, BatchJob, FileResult
from tests.batches import check_books, check_bytes, check_nothing_runs, submit_exactly
from tests.faults.ledger import check_ledger
from tests.faults.stage import WORK, Stage
from tests.queue.test_processes import children_of, node_of

# Readers know no database: in one pass only.
pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

LIMITS = {
    "EXTRA_PROCESSORS": "tests.processors.faulty.FaultyProcessor",
    "PROCESSING_TIMEOUT_SECONDS": "4",
    "PROCESSING_SILENCE_SECONDS": "2",
    "PROCESSING_MEMORY_BYTES": str(512 * 1024**2),
}
BAD = {
    # what the file does: how it ends, and whether the pages before are kept
    "segfault": ("quarantined", "crash", "processor.crashed", False),
    "spin_and_tell": ("failed", "resource", "processor.timeout", False),
    "sleep 2": ("failed", "resource", "processor.stalled", True),
    "fill_memory": ("failed", "resource", "processor.memory", True),
}
GOOD = 46


def test_four_bad_files_among_fifty_harm_nobody_else(stage: Stage) -> None:
    worker = stage.start(*WORK, "--slots", "3", env=LIMITS)
    worker.wait_for(lambda: node_of(worker))
    slots = children_of(worker.pid)
    assert len(slots) == 3
    good = [f"echo {number}" for number in range(GOOD)]
    texts = [*good[:10], *BAD, *good[10:]]
    job = submit_exactly(stage.organization, *texts)
    stage.wait_until_closed(job, seconds=90)

    files = BatchFile.objects.filter(job=job).order_by("position")
    ends = dict(zip(texts, files, strict=True))
    for text, (state, failure_class, code, has_pages) in BAD.items():
        file = ends.pop(text)
        assert (file.state, file.error_class, file.error_code) == (state, failure_class, code)
        assert file.attempts == 2
        kept = FileResult.objects.filter(file=file, quality="partial")
        assert kept.exists() == has_pages, text
    assert {file.state for file in ends.values()} == {"succeeded"}
    assert BatchJob.objects.get().state == "partial"
    assert worker.is_running
    assert children_of(worker.pid) == slots
    stage.end()
    check_books()
    check_nothing_runs()
    check_ledger()
    check_bytes()
