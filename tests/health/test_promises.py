"""Every fault that doctor knows, planted in real rows and files: it is named, and nothing else is;
where that is promised, `--fix` puts it right. A service under load has none."""

import os
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.jobs import inspection, stock, storage
from apps.jobs.models import (
    BatchFile,
    BatchJob,
    Blob,
    Completion,
    FileAttempt,
    FileResult,
    IdempotencyKey,
)
from apps.queue.models import Pause, PeriodicRun, WorkerNode, in_seconds
from apps.queue.states import State
from apps.webhooks.models import Delivery, Endpoint
from tests.batches import check_books, check_nothing_runs, claimed, submit
from tests.health.looking import age, alive, end_next, files, mend, under_load, wrong
from tests.jobs.containers import submit_files

pytestmark = pytest.mark.django_db
Plant = Callable[[Organization], object]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


def ran_out(acme: Organization) -> None:
    submit(acme, "one")
    claimed()
    age(BatchFile, 60, "lease_expires_at")


def left_by_a_worker(acme: Organization) -> None:
    submit(acme, "one")
    claimed(worker_id=uuid.uuid4())
    BatchFile.objects.update(lease_expires_at=in_seconds(5))


def open_attempt(acme: Organization) -> None:
    submit(acme, "one")
    left_open_at(end_next())


def two_attempts(acme: Organization) -> None:
    submit(acme, "one")
    left_open_at(claimed())


def left_open_at(file: BatchFile) -> None:
    """A second attempt, which is counted and never ended."""
    BatchFile.objects.filter(pk=file.pk).update(attempts=2)
    FileAttempt.objects.create(
        row=file, run=1, number=2, lease_token=uuid.uuid4(), worker_id=uuid.uuid4(), lane="default"
    )


def nobody_for_the_lane(acme: Organization) -> None:
    submit(acme, "one")
    age(BatchFile, 120, "available_at")
    WorkerNode.objects.update(lanes=["email"])


def dead_worker(acme: Organization) -> None:
    age(WorkerNode, 45, "seen_at")


def silent_beat(acme: Organization) -> None:
    submit(acme, "one")
    age(PeriodicRun, 45, "started_at")


def failed_work(acme: Organization) -> None:
    PeriodicRun.objects.create(
        name="trim_previews", started_at=timezone.now(), error="OSError: no room"
    )


def overdue_work(acme: Organization) -> None:
    PeriodicRun.objects.create(
        name="trim_previews", started_at=timezone.now() - timedelta(seconds=1300)
    )


def clock_set_back(acme: Organization) -> None:
    PeriodicRun.objects.filter(name="sweep").update(started_at=Now() + timedelta(hours=1))


def old_pause(acme: Organization) -> None:
    Pause.objects.create(lane="ocr", until=timezone.now() - timedelta(hours=2))


def wrong_counter(acme: Organization) -> None:
    submit(acme, "one", "two")
    end_next()
    BatchJob.objects.update(succeeded=F("succeeded") + 1)


def uncounted_duplicate(acme: Organization) -> None:
    submit_files(acme, files("one"))
    end_next()
    job = submit_files(acme, files("one"))
    BatchJob.objects.filter(pk=job.pk).update(duplicates=0)


def wrong_end(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    BatchJob.objects.update(state="failed")


def unclosed(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    BatchJob.objects.update(state="running", finished_at=None)
    Completion.objects.all().delete()


def closed_too_soon(acme: Organization) -> None:
    submit(acme, "one", "two")
    end_next()
    BatchJob.objects.update(state="partial", finished_at=Now())
    [job] = BatchJob.objects.all()
    Completion.objects.create(job=job, run=job.run, state="partial")


def end_not_written(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    Completion.objects.all().delete()


def no_result(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    FileResult.objects.all().delete()


def result_of_an_older_run(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    BatchFile.objects.update(run=2)


def result_of_nobody(acme: Organization) -> None:
    submit(acme, "one", "two")
    [read, waiting] = [end_next(), BatchFile.objects.get(position=2)]
    FileResult.objects.filter(file=read).update(file=waiting)
    BatchFile.objects.filter(pk=read.pk).update(state="failed")
    BatchJob.objects.update(succeeded=0, failed=1)


def stuck_follower(acme: Organization) -> None:
    submit_files(acme, files("one"))
    submit_files(acme, files("one"))
    end_next()
    assert BatchFile.objects.exclude(waits_for=None).count() == 1  # nobody saw to it: no commit
    BatchFile.objects.filter(state="succeeded").update(finished_at=Now() - timedelta(seconds=60))


def held_by_nobody(acme: Organization) -> None:
    submit(acme, "one")
    BatchFile.objects.update(is_held=True)


def many_old_keys(acme: Organization) -> None:
    job = submit(acme, "one")
    for number in range(inspection.MANY_KEYS):
        IdempotencyKey.objects.create(
            organization=acme,
            user=job.created_by,
            route="batch.upload",
            key=str(number),
            response={},
            created_at=timezone.now() - timedelta(days=3),
        )


def expired(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    BatchJob.objects.update(expires_at=timezone.now() - timedelta(days=3))


def lost_bytes(acme: Organization) -> None:
    submit(acme, "one")
    storage.path_of(Blob.objects.get()).unlink()


def cut_bytes(acme: Organization) -> None:
    submit(acme, "one")
    end_next()
    result = FileResult.objects.get()
    storage.path_of(result.content).write_bytes(b"{")


def row_without_bytes(acme: Organization) -> None:
    Blob.objects.create(organization=acme, sha256="a" * 64, size_bytes=1)


def orphan(acme: Organization) -> None:
    shelf = storage.blobs() / acme.pk.hex / "ab"
    shelf.mkdir(parents=True)
    (shelf / ("ab" * 32)).write_bytes(b"nobody's")


def orphan_preview(acme: Organization) -> None:
    (storage.previews() / acme.pk.hex / "ab" / ("ab" * 32)).mkdir(parents=True)


def foreign(acme: Organization) -> None:
    shelf = storage.blobs() / uuid.uuid4().hex / "ab"
    shelf.mkdir(parents=True)
    (shelf / ("ab" * 32)).write_bytes(b"of another database")


def stale_upload(acme: Organization) -> None:
    os.utime(storage.new_incoming_folder(), (0, 0))


def forged_audit(acme: Organization) -> None:
    record(organization=acme, actor=None, action="job.cancel", reason="asked for")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditentry SET reason = 'not asked for'")


def endpoint_of(acme: Organization) -> Endpoint:
    return Endpoint.objects.create(organization=acme, url="https://example.com", events=[])


def message_nobody_sends(acme: Organization) -> None:
    Delivery.objects.create(
        organization=acme,
        endpoint=endpoint_of(acme),
        event_id=uuid.uuid4(),
        event="job.finished",
        body="{}",
        created_at=timezone.now() - timedelta(minutes=11),
    )


def message_given_up(acme: Organization) -> None:
    message_nobody_sends(acme)
    Delivery.objects.update(state="failed", ended_at=Now(), error="refused")


def failing_endpoint(acme: Organization) -> None:
    endpoint_of(acme)
    Endpoint.objects.update(state="disabled", disabled_reason="failing")


MENDED: list[tuple[Plant, dict[str, tuple[str, int]]]] = [
    (ran_out, {"stuck leases": ("broken", 1)}),
    (open_attempt, {"open attempts": ("broken", 1)}),
    (two_attempts, {"open attempts": ("broken", 1), "doubled attempts": ("broken", 1)}),
    (dead_worker, {"dead workers": ("weak", 1)}),
    (old_pause, {"expired pauses": ("weak", 1)}),
    (wrong_counter, {"counters": ("broken", 1)}),
    (uncounted_duplicate, {"counters": ("broken", 1)}),
    (wrong_end, {"counters": ("broken", 1)}),
    (unclosed, {"unclosed jobs": ("broken", 1)}),
    (closed_too_soon, {"closed too soon": ("broken", 1)}),
    (end_not_written, {"completions": ("broken", 1)}),
    (stuck_follower, {"stuck followers": ("broken", 1)}),
    (row_without_bytes, {"unused rows": ("weak", 1)}),
    (orphan, {"orphan bytes": ("weak", 1)}),
    (orphan_preview, {"orphan previews": ("weak", 1)}),
    (stale_upload, {"stale uploads": ("weak", 1)}),
]
TOLD: list[tuple[Plant, dict[str, tuple[str, int]]]] = [
    (left_by_a_worker, {"unkept leases": ("weak", 1)}),
    (nobody_for_the_lane, {"unserved lanes": ("broken", 1)}),
    (silent_beat, {"beat": ("broken", 1)}),
    (failed_work, {"recurring work": ("broken", 1)}),
    (overdue_work, {"overdue work": ("weak", 1)}),
    (clock_set_back, {"clock": ("weak", 1)}),
    (no_result, {"missing results": ("broken", 1)}),
    (result_of_an_older_run, {"missing results": ("broken", 1)}),
    (result_of_nobody, {"stray results": ("broken", 1)}),
    (held_by_nobody, {"held files": ("weak", 1)}),
    (many_old_keys, {"old keys": ("weak", inspection.MANY_KEYS)}),
    (expired, {"expired jobs": ("weak", 1)}),
    (lost_bytes, {"lost bytes": ("broken", 1)}),
    (cut_bytes, {"lost bytes": ("broken", 1)}),
    (message_nobody_sends, {"messages that wait": ("broken", 1)}),
    (message_given_up, {"unsent messages": ("weak", 1)}),
    (failing_endpoint, {"failing endpoints": ("weak", 1)}),
    (foreign, {"foreign bytes": ("weak", 1)}),
    (forged_audit, {"chains": ("broken", 1)}),
]


def name_of(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes have lain on disk for long enough."""
    monkeypatch.setattr(stock, "ORPHAN_SECONDS", -1)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("plant", "named"), MENDED, ids=name_of)
def test_what_can_be_put_right_is(
    plant: Plant, named: dict[str, tuple[str, int]], acme: Organization
) -> None:
    alive()
    plant(acme)
    assert wrong() == named
    done = mend()
    assert sum(done.values()) >= 1
    assert wrong() == {}
    check_books()
    if plant is not two_attempts:  # where one of them goes on
        check_nothing_runs()
    [entry] = AuditEntry.objects.filter(action="doctor.fix")
    assert (entry.chain_id, entry.actor_name) == ("system", "system")
    assert mend() == {}
    assert AuditEntry.objects.filter(action="doctor.fix").count() == 1


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("plant", "named"), TOLD, ids=name_of)
def test_what_cannot_is_told_and_left_alone(
    plant: Plant, named: dict[str, tuple[str, int]], acme: Organization
) -> None:
    alive()
    plant(acme)
    assert wrong() == named
    assert mend() == {}
    assert wrong() == named


def test_a_service_under_load_is_well(acme: Organization) -> None:
    under_load(acme)
    assert wrong() == {}
    states = set(BatchFile.objects.values_list("state", flat=True))
    assert {State.RUNNING, State.QUEUED, State.RETRY_WAIT, State.QUARANTINED} < states
    assert BatchFile.objects.exclude(waits_for=None).count() == 2
