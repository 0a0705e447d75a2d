"""Every fault at every point: nothing is lost, nothing is done twice, nothing is left.

`make faults` plays all cells of the matrix; without it the sample in `tests.faults.matrix`.
"""

import time
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from django.db import connection

from apps.jobs.models import BatchFile, BatchJob, Blob, FileAttempt, FileResult
from tests.batches import check_bytes, owner_of, submit_exactly
from tests.faults.matrix import Cell, cells
from tests.faults.points import POINTS
from tests.faults.stage import WORK, Stage
from tests.faults.strikes import FAULTS, LONGER_THAN_A_LEASE, stop
from tests.processes import eventually
from tests.queue.test_processes import node_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


TEXTS = {
    "mid_parse": ["2.5 a", "0.3 b", "0.3 c"],  # longer than a child without its slot may live
    "after_checkpoint": ["1.5 a", "0.3 b", "0.3 c"],  # so long that it is worth one
    "before_follow_up": ["0.5 a", "0.5 a", "0.3 c"],  # the second waits for the first
}
"""What the struck worker reads, where that matters: the number is how many seconds it takes."""
EASY_LEASE_SECONDS = "8"
"""Where no file may be lost: a busy machine must not look like a fault."""


def parameters() -> list[ParameterSet]:
    return [pytest.param(cell, id=str(cell)) for cell in cells(connection.vendor)]


@pytest.mark.parametrize("cell", parameters())
def test_cell(cell: Cell, stage: Stage) -> None:
    if "lost" not in FAULTS[cell.fault].costs:
        stage.settings["LEASE_SECONDS"] = EASY_LEASE_SECONDS
    play = {"worker": at_work, "submitter": submitting, "deleter": deleting}
    play[POINTS[cell.point].actor](cell, stage)
    check_costs(cell)


def at_work(cell: Cell, stage: Stage) -> None:
    """A Celery worker is struck while it has three files; a later job goes through, too."""
    stage.start_worker(cell.point)
    if cell.fault.startswith("redis"):
        stage.start("beat")
    stage.arm()
    texts = TEXTS.get(cell.point, ["0.5 a", "0.3 b", "0.3 c"])
    job = submit_exactly(stage.organization, *texts)
    assert stage.reached
    if cell.fault == "stop":
        wake_up_late(job, stage)
    else:
        with FAULTS[cell.fault].strike(stage):
            stage.go()
            if cell.fault.startswith("redis"):
                stage.wait_until_closed(job)
                stage.wait_until_closed(stage.submit("0.1"))
            else:
                stage.start_rescuer()
        stage.wait_until_closed(job)
    stage.wait_until_closed(stage.submit("0.1"))
    eventually(lambda: not BatchJob.objects.open().exists())
    stage.end()
    stage.check(jobs=BatchJob.objects.count())


def wake_up_late(job: BatchJob, stage: Stage) -> None:
    """Somebody else finishes what the stopped worker has; when it wakes, it changes nothing.

    On SQLite one that is stopped in a transaction keeps everybody out: then it goes on itself.
    """
    with stop(stage):
        stage.start_rescuer()
        if stage.is_locked and connection.vendor == "sqlite":
            time.sleep(LONGER_THAN_A_LEASE)
            before = None
        else:
            stage.wait_until_closed(job)
            before = rows()
    stage.go()
    stage.wait_until_closed(job)
    stage.struck.terminate()
    assert before is None or rows() == before


def submitting(cell: Cell, stage: Stage) -> None:
    """`manage.py submit` is struck. What it acknowledged is done; else it is all or nothing."""
    folder = stage.folder / "documents"
    folder.mkdir()
    texts = [f"0.1 {number}" for number in range(3)]
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text)
    owner = owner_of(stage.organization)
    worker = stage.start(*WORK, "--slots", "2")
    stage.start("beat")
    worker.wait_for(lambda: node_of(worker))
    stage.wait_until_closed(stage.submit("0.1"))  # now it waits to be rung for
    stage.arm()
    stage.start_struck(
        *(cell.point, "submit", str(folder), "--user", owner.user.email),
        *("--organization", str(stage.organization.pk)),
    )
    assert stage.reached
    with FAULTS[cell.fault].strike(stage):
        if cell.fault == "stop":
            time.sleep(1)
        stage.go()
    status = stage.struck.wait()
    submitted = BatchJob.objects.count() - 1
    if status and cell.fault == "disk_full" and connection.vendor == "postgresql":
        # The server's disk is another: the commit gets through, and what is told of it may not.
        assert submitted in (0, 1)
    else:
        assert submitted == (status == 0 or cell.point == "after_commit")
    eventually(lambda: not BatchJob.objects.open().exists())
    if not submitted:
        check_bytes()  # before the same ones come again
    stage.wait_until_closed(submit_exactly(stage.organization, *texts))
    stage.end()
    stage.check(jobs=submitted + 2)


def deleting(cell: Cell, stage: Stage) -> None:
    """A deletion is struck. The same documents, submitted again, find their bytes."""
    texts = [f"0.1 {number}" for number in range(3)]
    stage.start_rescuer()
    job = submit_exactly(stage.organization, *texts)
    stage.wait_until_closed(job)
    stage.arm()
    stage.start_struck(cell.point, "delete", str(job.pk))
    assert stage.reached
    with FAULTS[cell.fault].strike(stage):
        if cell.fault == "stop":
            time.sleep(1)
        stage.go()
    stage.struck.wait()
    stage.wait_until_closed(submit_exactly(stage.organization, *texts))
    stage.end()
    stage.check(jobs=1)


def check_costs(cell: Cell) -> None:
    """The fault cost what it may, once, and nothing counts against the files."""
    failed = FileAttempt.objects.exclude(failure_class="")
    classes = [each.failure_class for each in failed]
    is_idle = cell.fault == "kill_child" and cell.point != "mid_parse"
    said = [f"{each.failure_class}: {each.code} {each.detail} {each.traceback}" for each in failed]
    assert set(classes) <= (set() if is_idle else FAULTS[cell.fault].costs), "\n".join(said)
    assert classes.count("crash") <= 1
    assert not BatchFile.objects.exclude(failures=0).exists()


def rows() -> list[list[tuple[Any, ...]]]:
    """All that is known of jobs, files, runs, results and bytes."""
    models = (BatchJob, BatchFile, FileAttempt, FileResult, Blob)
    return [list(model.objects.order_by("pk").values_list()) for model in models]
