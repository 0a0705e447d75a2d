"""The command that cleans up, the other things that go with time, and how they are found."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs import cleanup
from apps.jobs.bulk import Matching, request_bulk
from apps.jobs.cleanup import older_than
from apps.jobs.models import BatchJob, BulkTarget, IdempotencyKey
from apps.jobs.services import keep_job
from apps.jobs.verbs import JOB_VERBS
from apps.queue.models import WorkItem
from apps.queue.work_items import cancel_work, retry_work
from tests.batches import owner_of
from tests.jobs.ageing import cancelled, expire, expired, run
from tests.jobs.bulk_requests import many
from tests.jobs.forms import accepted, part
from tests.volume import analyze

pytestmark = pytest.mark.django_db


# --- the other things ----------------------------------------------------------------------------


def test_keys_and_sessions_that_ran_out_go(alice_api: APIClient) -> None:
    accepted(alice_api, part(b"old"), **{"Idempotency-Key": "old"})
    IdempotencyKey.objects.update(created_at=Now() - timedelta(hours=24, seconds=1))
    accepted(alice_api, part(b"new"), **{"Idempotency-Key": "new"})
    for seconds in (-1, 3600):
        store = SessionStore()
        store.set_expiry(timezone.now() + timedelta(seconds=seconds))
        store.create()
    cleanup.cleanup()
    assert [key.key for key in IdempotencyKey.objects.all()] == ["new"]
    assert Session.objects.count() == 1
    assert BatchJob.objects.count() == 2


def test_bulk_actions_that_ended_a_month_ago_go_with_what_they_did_not_get_to(
    acme: Organization, alice: User
) -> None:
    jobs = many(acme, 3)
    old, new, waits = (bulk_of(alice) for _ in range(3))
    for item in (old, new):
        cancel_work(by=alice, item=item)
    WorkItem.objects.exclude(pk=new.pk).update(finished_at=Now() - timedelta(days=30, seconds=1))
    assert run("--dry-run")["work_items"] == 1
    assert BulkTarget.objects.count() == 9
    assert run()["work_items"] == 1
    assert set(WorkItem.objects.all()) == {new, waits}
    assert set(BulkTarget.objects.values_list("item", "job")) == {
        (item.pk, job.pk) for item in (new, waits) for job in jobs
    }


def test_a_bulk_action_that_goes_on_meanwhile_stays(acme: Organization, alice: User) -> None:
    many(acme, 3)
    item = bulk_of(alice)
    cancel_work(by=alice, item=item)
    WorkItem.objects.update(finished_at=Now() - timedelta(days=31))
    old = cleanup.old_work()
    assert old.count() == 1
    retry_work(by=alice, item=item)
    assert cleanup.remove_work(old) == 0
    assert BulkTarget.objects.count() == 3


def bulk_of(user: User) -> WorkItem:
    matching = Matching.now("jobs", BatchJob.objects.all(), {})
    return request_bulk(by=user, verb=JOB_VERBS["keep"], matching=matching)


@pytest.mark.parametrize("row_limit", [1, 2, 1000])
def test_rows_go_in_chunks(monkeypatch: pytest.MonkeyPatch, row_limit: int) -> None:
    monkeypatch.setattr(cleanup, "CHUNK_ROWS", row_limit)
    for _ in range(5):
        store = SessionStore()
        store.set_expiry(timezone.now() - timedelta(seconds=1))
        store.create()
    assert cleanup.remove_rows(cleanup.old_sessions()) == 5


# --- the command ---------------------------------------------------------------------------------


def test_the_command_tells_what_it_would_remove_and_then_removes_it(
    acme: Organization, other: Organization
) -> None:
    for organization in (acme, acme, other):
        cancelled(organization, "text")
    assert run("--dry-run") | {"dry_run": False} == run() | {"dry_run": False}
    expire()
    dry = run("--dry-run", "--organization", acme.pk, "--limit", 1)
    assert dry == {"dry_run": True, "jobs": 1, "files": 1, "size_bytes": 0}
    assert run("--organization", acme.pk, "--limit", 1) == dry | {"dry_run": False}
    assert BatchJob.objects.count() == 2
    told = run("--dry-run")
    assert (told["jobs"], told["size_bytes"]) == (2, 8)
    assert run() == told | {"dry_run": False}
    assert not BatchJob.objects.exists()


def test_older_than_goes_by_the_end_of_the_job(acme: Organization) -> None:
    old, new = cancelled(acme, "old"), cancelled(acme, "new")
    BatchJob.objects.filter(pk=old.pk).update(finished_at=Now() - timedelta(days=8))
    kept = cancelled(acme, "kept")
    keep_job(actor=owner_of(acme), job=kept, kept=True)
    assert list(older_than(timedelta(days=7))) == [old]
    assert run("--older-than", 7, "--yes")["jobs"] == 1
    assert run("--older-than", 0, "--yes")["jobs"] == 1
    assert BatchJob.objects.get() == kept
    assert new not in BatchJob.objects.all()


@pytest.mark.parametrize(("answer", "goes"), [("yes", True), ("y", True), ("", False)])
def test_what_was_promised_for_longer_goes_after_a_question(
    acme: Organization, monkeypatch: pytest.MonkeyPatch, answer: str, goes: bool
) -> None:
    cancelled(acme, "text")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if goes:
        run("--older-than", 0)
    else:
        with pytest.raises(CommandError, match=r"Nothing was removed\."):
            run("--older-than", 0)
    assert BatchJob.objects.exists() is not goes


def test_where_nobody_can_be_asked_nothing_goes_early(acme: Organization) -> None:
    cancelled(acme, "text")
    with pytest.raises(CommandError, match="give --yes, or --dry-run"):
        run("--older-than", 0)
    assert run("--older-than", 0, "--dry-run")["jobs"] == 1
    assert run()["jobs"] == 0, "what was promised is no question"
    assert BatchJob.objects.exists()


def test_the_command_speaks_in_sentences(acme: Organization) -> None:
    def say(*arguments: str) -> str:
        out = StringIO()
        call_command("cleanup", *arguments, stdout=out)
        return out.getvalue().strip()

    assert say() == "Nothing is old enough to be removed."
    cancelled(acme, "one", "two")
    expire()
    assert say("--dry-run") == "Would remove 1 job, 2 files; 6 bytes of disk."
    assert say() == "Removed 1 job, 2 files; 6 bytes of disk."


@pytest.mark.parametrize("wrong", ["-1", "x", "1.5", ""])
def test_wrong_numbers_are_refused(wrong: str) -> None:
    with pytest.raises(CommandError, match="a whole number from 0 on"):
        call_command("cleanup", f"--older-than={wrong}")


def test_an_organization_that_is_not_there_is_told() -> None:
    with pytest.raises(CommandError, match="There is no organization"):
        call_command("cleanup", "--organization", "019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21")


# --- finding them --------------------------------------------------------------------------------


def test_expired_jobs_are_found_by_an_index(acme: Organization) -> None:
    job = cancelled(acme, "text")
    copies = [
        BatchJob(organization=acme, operation="extract", total=0, state="succeeded")
        for _ in range(3000)
    ]
    BatchJob.objects.bulk_create(copies)
    expire(job)
    analyze()
    plan = expired()[:100].explain()
    assert "job_expiry" in plan, plan
    assert "SCAN jobs_batchjob" not in plan, plan  # SQLite's word for reading it all
    assert "Seq Scan" not in plan, plan
    assert "SORT" not in plan.upper().replace("SORT KEY", ""), plan
