"""A worker that cannot reach the database lets go before its lease ends: others may begin then."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import connection

from apps.jobs.models import BatchFile, FileAttempt
from tests.faults.stage import LEASE_SECONDS, Stage
from tests.processes import eventually
from tests.queue.test_processes import children_of

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def nobody_writes() -> Iterator[None]:
    """The table of files, or on SQLite the whole database, is locked by somebody else."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=10)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.rollback()
        return
    other_connection = connection.copy()
    with closing(other_connection), other_connection.cursor() as cursor:
        other_connection.set_autocommit(False)
        cursor.execute("LOCK TABLE jobs_batchfile IN EXCLUSIVE MODE")
        yield
        other_connection.rollback()


def test_the_child_is_gone_before_somebody_else_may_begin(stage: Stage) -> None:
    stage.start_worker("mid_parse")
    stage.arm()
    job = stage.submit("20")
    slot = stage.reached
    stage.go()
    [child] = children_of(slot)
    with nobody_writes():
        began = time.monotonic()
        eventually(lambda: child not in children_of(slot))
        # The lease was renewed at the latest before that; half a second for the look at the clock.
        assert time.monotonic() - began < LEASE_SECONDS
    stage.struck.wait_for("its lease was lost")
    stage.start_rescuer()
    eventually(lambda: FileAttempt.objects.filter(row__job=job).count() == 2)
    lost, second = FileAttempt.objects.filter(row__job=job).order_by("number")
    assert lost.failure_class == "lost"
    assert second.worker_id != lost.worker_id or second.ended_at is None
    assert BatchFile.objects.get(job=job).losses == 1
