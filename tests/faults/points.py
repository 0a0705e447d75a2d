"""The moments at which a process is struck, and how one is held there.

The service has no hooks for this. In a process that a test started, the callable that stands at
the point is wrapped: whoever passes first, once the test has armed it, says so and waits. Pool
slots are forked from the patched process, so they are held, too.
"""

import functools
import os
import pkgutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ARMED, REACHED, GO = "armed", "reached", "go"


@dataclass(frozen=True)
class Point:
    """`actor` is held `when` it calls `where`; `is_locked`: inside a transaction that writes."""

    actor: Literal["submitter", "worker", "deleter"]
    when: Literal["before", "after"]
    where: str
    told: str
    is_locked: bool = False


POINTS = {
    "after_blob": Point(
        *("submitter", "after", "apps.jobs.storage.put_all"),
        told="a file's bytes are in place, its row is not written",
        is_locked=True,
    ),
    "after_rows": Point(
        *("submitter", "before", "apps.jobs.services.submitting.ring_on_commit"),
        told="the rows are written, not committed",
        is_locked=True,
    ),
    "after_commit": Point(
        *("submitter", "before", "apps.queue.doorbell.ring"),
        told="the job is committed, no doorbell has rung",
    ),
    "in_claim": Point(
        *("worker", "before", "apps.queue.claim._insert"),
        told="inside the claim's transaction: the row is taken, its attempt is not written",
        is_locked=True,
    ),
    "after_claim": Point(
        *("worker", "before", "apps.queue.worker.run_claimed"),
        told="the claim is committed, the run has not begun",
    ),
    "mid_parse": Point(
        *("worker", "before", "apps.queue.lease.LeaseKeeper.report"),
        told="the child is parsing",
    ),
    "after_checkpoint": Point(
        *("worker", "after", "apps.jobs.checkpoints.save"),
        told="what was read is kept for a later run, the result is not stored",
    ),
    "after_result": Point(
        *("worker", "after", "apps.jobs.extractions.write"),
        told="the result's bytes are written, nothing is settled",
    ),
    "before_settle": Point(
        *("worker", "before", "apps.queue.worker.succeed"),
        told="the lease was seen to hold, the settling transaction has not begun",
    ),
    "before_keep": Point(
        *("worker", "before", "apps.jobs.extractions.keep"),
        told="inside the settling transaction: the file has ended, its result is not stored",
        is_locked=True,
    ),
    "in_settle": Point(
        *("worker", "before", "apps.jobs.handler.count_end"),
        told="inside the settling transaction: the result is stored, the job has not counted it",
        is_locked=True,
    ),
    "before_follow_up": Point(
        *("worker", "before", "apps.jobs.services.following.follow_up"),
        told="settled and committed, files with the same bytes wait still",
    ),
    "after_settle": Point(
        *("worker", "after", "apps.queue.worker.succeed"),
        told="settled and committed, nothing has followed",
    ),
    "mid_cleanup": Point(
        *("deleter", "before", "apps.jobs.storage.previews_of"),
        told="a deleted job's bytes are removed, their row is not",
        is_locked=True,
    ),
}


def hold_at(name: str, folder: Path) -> None:
    """Makes the first of this process and its forks that passes the point wait in `folder`."""
    point = POINTS[name]
    owner_path, _, attribute = point.where.rpartition(".")
    owner = pkgutil.resolve_name(owner_path)
    passed = getattr(owner, attribute)

    @functools.wraps(passed)
    def held(*args: Any, **kwargs: Any) -> Any:
        if point.when == "before":
            _wait_in(folder)
            return passed(*args, **kwargs)
        result = passed(*args, **kwargs)
        _wait_in(folder)
        return result

    setattr(owner, attribute, held)


def _wait_in(folder: Path) -> None:
    if not (folder / ARMED).exists() or not _is_first(folder):
        return
    while not (folder / GO).exists():
        time.sleep(0.01)


def _is_first(folder: Path) -> bool:
    """Leaves this process's id in the file "reached", whole, if nobody has."""
    note = folder / f"{os.getpid()}-{threading.get_ident()}"
    note.write_text(str(os.getpid()))
    try:
        (folder / REACHED).hardlink_to(note)
    except FileExistsError:
        return False
    finally:
        note.unlink()
    return True
