"""`manage.py bulk`: what it asks for, says and refuses."""

import json
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.accounts.services import create_user
from apps.audit.models import AuditEntry
from apps.jobs.models import BatchFile, BatchJob
from apps.queue import worker
from apps.queue.models import WorkItem
from tests.batches import submit
from tests.jobs.cli.conftest import Run
from tests.jobs.runs import fail_next, read_next
from tests.queue.conftest import _fresh_process_state

__all__ = ["_fresh_process_state"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture
def root(db: None) -> User:
    return create_user(email="root@example.com", password=None, is_staff=True, is_superuser=True)


def test_a_dry_run_only_tells(
    run: Run, root: User, acme: Organization, other: Organization
) -> None:
    for organization in (acme, acme, other):
        submit(organization, "text")
    answer = run("bulk", "cancel", "--organization", acme.pk, "--state", "queued", "--dry-run")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"Cancel: 2 jobs, state queued, organization {acme.pk}"
    assert lines[1:3] == ["       2  queued", "       2  of Acme"]
    told = json.loads(run("bulk", "cancel", "--state", "queued", "--dry-run", "--json").out)
    assert (told["count"], told["has_more"], told["states"]) == (3, False, {"queued": 3})
    assert told["organizations"] == {"Acme": 2, "Other": 1}
    assert len(told["first"]) == 3
    assert not WorkItem.objects.exists()


def test_it_queues_and_says_what(run: Run, root: User, acme: Organization) -> None:
    job = submit(acme, "text")
    answer = run("bulk", "cancel", "--yes", "--reason", "By mistake.", "--json")
    told = json.loads(answer.out)
    item = WorkItem.objects.get()
    assert told == {"id": str(item.pk), "title": item.title, "state": "queued", "total": 1}
    assert (item.requested_by, item.reason) == (root, "By mistake.")
    worker.work_off("sync")
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert AuditEntry.objects.get(action="job.cancel").actor_name == root.email


@pytest.mark.parametrize(("reply", "is_asked_for"), [("y", True), ("YES", True), ("", False)])
def test_the_question_is_no_part_of_the_answer(
    run: Run,
    root: User,
    acme: Organization,
    monkeypatch: pytest.MonkeyPatch,
    reply: str,
    is_asked_for: bool,
) -> None:
    submit(acme, "text")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: reply)
    answer = run("bulk", "cancel", "--json")
    assert "Cancel: 1 job? [y/N]" in answer.err
    assert WorkItem.objects.exists() is is_asked_for
    if is_asked_for:
        assert json.loads(answer.out)["total"] == 1
    else:
        assert (answer.out, answer.code) == ("", 2)


def test_it_waits_and_tells_what_came_of_it(run: Run, root: User, acme: Organization) -> None:
    submit(acme, "text")
    read_next()
    submit(acme, "other")
    with patch("time.sleep", lambda _: worker.work_off("sync")):  # somebody works meanwhile
        answer = run("bulk", "cancel", "--yes", "--wait")
    assert answer.code == 0
    assert answer.out.splitlines()[1:] == [
        "       1  done",
        "       1  skipped. There is nothing left to cancel.",
    ]
    assert "No worker is running" in answer.err


def test_filters_of_files_mean_files(run: Run, root: User, acme: Organization) -> None:
    submit(acme, "one", "two")
    fail_next()
    fail_next()
    BatchFile.objects.filter(position=2).update(error_class="infra")
    run("bulk", "retry", "--state", "failed", "--error-class", "infra", "--yes")
    worker.work_off("sync")
    states = dict(BatchFile.objects.values_list("position", "state"))
    assert states == {1: "failed", 2: "queued"}


def test_by_time_and_priority(run: Run, root: User, acme: Organization) -> None:
    old, new = submit(acme, "one"), submit(acme, "two")
    BatchJob.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=3))
    day = (timezone.now() - timedelta(days=1)).isoformat()
    before = run("bulk", "keep", "--created-before", day, "--priority", "normal", "--yes")
    assert before.code == 0
    worker.work_off("sync")
    assert BatchJob.objects.get(is_kept=True) == old
    answer = run("bulk", "keep", "--created-after", day, "--priority", "high", "--dry-run")
    assert answer.out.startswith(f"Keep: 0 jobs, priority high, created after {day[:10]}")
    assert not BatchJob.objects.get(pk=new.pk).is_kept
    answer = run("bulk", "keep", "--created-after", day, "--dry-run")
    assert answer.out.startswith(f"Keep: 1 job, created after {day[:10]}")


def test_the_permission_alone_makes_nobody_an_operator(
    run: Run, root: User, acme: Organization, bob: User
) -> None:
    submit(acme, "text")
    bob.user_permissions.add(Permission.objects.get(codename="change_batchjob"))
    answer = run("bulk", "cancel", "--user", bob.email, "--yes")
    assert (answer.code, WorkItem.objects.count()) == (2, 0)
    assert "bob@example.com may not do this" in answer.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cancel"], "Nobody can be asked here: give --yes"),
        (["cancel", "--state", "great", "--yes"], "a value that does not exist"),
        (["pause", "--lane", "ocr", "--yes"], "pause is for jobs, not for single files"),
        (["cancel", "--of", "jobs", "--lane", "ocr", "--yes"], "--lane is of files"),
        (["cancel", "--user", "bob@example.com", "--yes"], "bob@example.com may not do this"),
        (["cancel", "--user", "nobody@example.com", "--yes"], "There is no active user"),
        (["cancel", "--state", "failed", "--yes"], "Nothing matches any more."),
        (["cancel", "--reason", "x" * 201, "--yes"], "reason takes at most 200 characters."),
        (["cancel", "--created-before", "soon"], "a time such as 2026-01-31"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, root: User, acme: Organization, bob: User, arguments: list[str], told: str
) -> None:
    job = submit(acme, "text")
    answer = run("bulk", *arguments)
    assert answer.code == 2 or "argument" in answer.err
    assert told in answer.err
    assert not WorkItem.objects.exists()
    job.refresh_from_db()
    assert job.state == "queued"
