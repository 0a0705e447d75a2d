"""Jobs, files and results that do not agree, found in portions; and what is no fault."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from apps.accounts.models import Organization
from apps.jobs import inspection, mending
from apps.jobs.inspection import CLOSED_EARLY, COMPLETIONS, COUNTERS, HELD, UNCLOSED
from apps.jobs.models import BatchFile, BatchJob, Completion, FileResult
from apps.jobs.services import pause_job
from apps.jobs.states import FILE_STATES
from apps.queue.states import State
from tests.batches import check_books, owner_of, submit
from tests.jobs.containers import submit_files
from tests.jobs.runs import read_next

pytestmark = pytest.mark.django_db


def row(**more: Any) -> dict[str, Any]:
    """A closed job of two files that were read, as `faults` is given it."""
    files = {f"is_{state}": 0 for state in FILE_STATES} | {"is_succeeded": 2}
    counters = {"failed": 0, "quarantined": 0, "cancelled": 0, "rejected": 0, "duplicates": 0}
    job = {"state": "succeeded", "total": 2, "succeeded": 2, "loose": 0, "is_complete": True}
    return {**files, **counters, **job, **more}


@pytest.mark.once
@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, set()),
        ({"is_succeeded": 1, "is_duplicate": 1, "duplicates": 1}, set()),
        ({"is_succeeded": 1, "is_duplicate": 1}, {COUNTERS}),
        ({"duplicates": 1}, {COUNTERS}),
        ({"succeeded": 1}, {COUNTERS}),
        ({"total": 3}, {COUNTERS}),
        ({"state": "partial"}, {COUNTERS}),
        ({"state": "running", "is_complete": False}, {UNCLOSED}),
        ({"state": "paused", "is_complete": False}, {UNCLOSED}),
        ({"is_complete": False}, {COMPLETIONS}),
        ({"is_running": 1, "total": 3}, {CLOSED_EARLY}),
        ({"is_retry_wait": 1}, {CLOSED_EARLY, COUNTERS}),
        ({"state": "running", "is_queued": 1, "total": 3, "is_complete": False}, set()),
        ({"state": "running", "is_queued": 1, "total": 3, "loose": 1}, {HELD}),
        ({"state": "paused", "is_queued": 1, "total": 3, "loose": 1}, set()),
    ],
)
def test_what_is_wrong_with_a_job(more: dict[str, Any], found: set[object]) -> None:
    assert inspection.faults(row(**more)) == found


def test_each_is_found_once_however_it_is_cut(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [submit(acme, str(number)) for number in range(5)]
    for _ in jobs:
        read_next()
    BatchJob.objects.update(succeeded=F("succeeded") + 1)
    FileResult.objects.all().delete()
    files = set(BatchFile.objects.values_list("pk", flat=True))
    for size in (1, 2, 5, 6):
        monkeypatch.setattr(inspection, "JOBS_AT_ONCE", size)
        monkeypatch.setattr(inspection, "FILES_AT_ONCE", size)
        assert {pk for pk, _ in inspection.faulty_jobs()} == {job.pk for job in jobs}
        without = list(inspection.without_result())
        assert (len(without), set(without)) == (5, files)
    monkeypatch.setattr(inspection, "JOBS_AT_ONCE", 2)
    assert mending.recount_jobs() == 5
    check_books()


def test_what_ended_before_there_were_completions_has_none(acme: Organization) -> None:
    job = submit(acme, "one")
    read_next()
    Completion.objects.all().delete()
    assert [pk for pk, _ in inspection.faulty_jobs()] == [job.pk]
    before = inspection.completions_since() - timedelta(seconds=1)
    BatchJob.objects.update(finished_at=before)
    assert list(inspection.faulty_jobs()) == []


def test_a_job_that_was_closed_too_soon_ends_a_second_time(acme: Organization) -> None:
    """In a run of its own, so that both ends stand written down."""
    job = submit(acme, "one", "two")
    read_next()
    BatchJob.objects.filter(pk=job.pk).update(state="partial", finished_at=F("created_at"))
    Completion.objects.create(job=job, run=1, state="partial")
    assert mending.recount_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.run, job.finished_at) == ("running", 2, None)
    read_next()
    job.refresh_from_db()
    assert job.state == "succeeded"
    ends = job.completions.order_by("run").values_list("run", "state")
    assert list(ends) == [(1, "partial"), (2, "succeeded")]
    check_books()


def test_who_paused_a_single_file_is_known(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    first, second = BatchFile.objects.order_by("position")
    pause_job(actor=owner_of(acme), job=job, only=[first])

    def held() -> tuple[str, ...]:
        [found] = (each for each in inspection.inspect() if each.name == HELD.name)
        return found.examples

    assert held() == ()
    BatchFile.objects.filter(pk=second.pk).update(is_held=True)
    assert held() == (str(second.pk),)


def test_a_follower_that_waits_for_what_runs_or_is_paused_is_not_stuck(acme: Organization) -> None:
    leading = submit_files(acme, {"one.txt": b"one"})
    following = submit_files(acme, {"one.txt": b"one"})
    for job in (following, leading):
        pause_job(actor=owner_of(acme), job=job)
    assert not inspection.stuck_followers().exists()
    BatchFile.objects.filter(job=leading).update(
        state=State.FAILED, finished_at=F("created_at") - timedelta(minutes=1)
    )
    assert inspection.stuck_followers().count() == 1
