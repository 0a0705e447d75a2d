"""Two beats do no harm, and one that is killed in the middle of its work is not missed."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from apps.jobs.models import BatchFile, FileAttempt
from apps.queue.models import PeriodicRun
from apps.queue.states import State
from tests.batches import claimed
from tests.faults.ledger import check_ledger, entries
from tests.faults.stage import Stage
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def lose_lease() -> None:
    claimed()
    BatchFile.objects.running().update(lease_expires_at=Now() - timedelta(seconds=1))


def sweeps() -> int:
    return sum(entry.row == "sweep" for entry in entries())


def test_a_beat_killed_while_it_takes_a_file_back_leaves_it_to_the_other(stage: Stage) -> None:
    """It dies in the transaction: that is undone, and the file is lost once, not twice."""
    stage.submit("0")
    lose_lease()
    stage.arm()
    stage.start_struck("in_settle", "beat")
    assert stage.reached == stage.struck.pid
    other = stage.start("beat")
    stage.struck.kill()
    eventually(lambda: BatchFile.objects.get().state == State.QUEUED)
    assert BatchFile.objects.get().losses == 1
    assert FileAttempt.objects.get().failure_class == "lost"

    third = stage.start("beat")
    before = sweeps()
    eventually(lambda: sweeps() > before + 10)
    lose_lease()
    other.kill()
    eventually(lambda: BatchFile.objects.get().losses == 2)
    assert PeriodicRun.objects.get(name="sweep").error == ""
    assert third.is_running
    check_ledger()
    stage.end()
