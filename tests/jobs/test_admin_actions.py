"""What staff do to jobs and files in the admin: through services, confirmed, counted, logged."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.test import Client

from apps.accounts.models import Organization, User
from apps.core import admin_actions
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.jobs.states import JobState
from apps.jobs.verbs import JOB_VERBS
from apps.queue.retry import FailureClass
from apps.queue.states import State
from tests.audit.entries import acts
from tests.batches import check_books, submit
from tests.jobs.containers import open_next, submit_files, zip_of
from tests.jobs.runs import fail_next, read_next
from tests.operators import (
    MODELS,
    a_failed_and_a_read,
    list_of,
    page_of,
    staff,
    superuser,
    told,
)


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def act(client: Client, action: str, *rows: Any, confirmed: bool = True, **more: str) -> Any:
    """Sends an action for `rows`, as its confirming page does or as the list does before it."""
    form = {"action": action, "_selected_action": [str(row.pk) for row in rows]} | more
    if confirmed:
        form["confirmed"] = "yes"
    return client.post(list_of(rows[0]._meta.model_name), form, follow=True)


def test_nothing_happens_before_it_is_confirmed(operator: Client, acme: Organization) -> None:
    jobs = [submit(acme, "text") for _ in range(2)]
    answer = act(operator, "cancel", *jobs, confirmed=False)
    html = answer.content.decode()
    assert "Cancel: 2 batch jobs" in html
    for job in jobs:
        assert str(job.pk) in html
    assert set(BatchJob.objects.values_list("state", flat=True)) == {JobState.QUEUED}
    assert not LogEntry.objects.exists()


def test_jobs_are_cancelled_and_the_others_are_told_with_the_reason(
    operator: Client, acme: Organization
) -> None:
    done = submit(acme, "text")
    read_next()
    waits = submit(acme, "text")
    answer = act(operator, "cancel", done, waits)
    waits.refresh_from_db()
    assert waits.state == JobState.CANCELLED
    assert told(answer) == [
        "Cancelled: 1 batch job.",
        f"Skipped: 1 ({done}). There is nothing left to cancel.",
    ]
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.action_flag) == (str(waits.pk), CHANGE)
    assert (entry.user.email, entry.get_change_message()) == ("root@example.com", "Cancelled.")
    check_books()


def test_jobs_are_retried_with_their_quarantined_files(
    operator: Client, acme: Organization
) -> None:
    job = submit(acme, "one")
    fail_next(FailureClass.CRASH)
    fail_next(FailureClass.CRASH, lane="default")
    assert BatchFile.objects.get().state == State.QUARANTINED
    assert told(act(operator, "retry", job)) == ["Run again: 1 batch job."]
    assert BatchFile.objects.get().state == State.QUEUED
    check_books()


def test_jobs_are_deleted_and_their_deletion_is_remembered(
    operator: Client, acme: Organization
) -> None:
    done = submit(acme, "text")
    read_next()
    waits = submit(acme, "text")
    answer = act(operator, "delete", done, waits, origin="row")
    assert list(BatchJob.objects.all()) == [waits]
    assert told(answer)[0] == "Deleted: 1 batch job."
    assert answer.redirect_chain == [(list_of("batchjob"), 302)]
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.action_flag) == (str(done.pk), DELETION)


def test_a_file_is_run_again_from_its_own_page(operator: Client, acme: Organization) -> None:
    a_failed_and_a_read(acme)
    failed = BatchFile.objects.get(state=State.FAILED)
    assert "Run again" in operator.get(page_of(failed)).content.decode()
    first = act(operator, "retry", failed, confirmed=False, origin="row")
    assert '<input type="hidden" name="origin" value="row">' in first.content.decode()
    answer = act(operator, "retry", failed, origin="row")
    assert answer.redirect_chain == [(page_of(failed), 302)]
    assert told(answer) == ["Run again: 1 batch file."]
    assert "Run again</button>" not in answer.content.decode()
    failed.refresh_from_db()
    assert failed.state == State.QUEUED
    check_books()


def test_several_files_of_one_job_are_run_again_together(
    operator: Client, acme: Organization
) -> None:
    jobs = [submit(acme, "one", "two", "three") for _ in range(2)]
    for _ in jobs:
        read_next()
        fail_next()
        fail_next()
    files = BatchFile.objects.all()
    answer = act(operator, "retry", *files)
    assert told(answer)[0] == "Run again: 4 batch files."
    assert told(answer)[1].startswith("Skipped: 2 (1.txt, 1.txt).")
    assert LogEntry.objects.count() == 4
    states = sorted(BatchFile.objects.values_list("state", "run"))
    assert states == [(State.QUEUED, 2)] * 4 + [(State.SUCCEEDED, 1)] * 2
    assert set(BatchJob.objects.values_list("run", flat=True)) == {2}
    check_books()


def test_a_container_that_was_opened_spoils_nothing_for_the_others(
    operator: Client, acme: Organization
) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    opened = open_next({"1.txt": b"one"})
    member = read_next()
    why_not = "What was in the file runs again by itself: the file was opened already."
    assert told(act(operator, "requeue", opened, member)) == [
        "Read anew: 1 batch file.",
        f"Skipped: 1 (all.zip). {why_not}",
    ]
    assert dict(BatchFile.objects.values_list("name", "state")) == {
        "all.zip": "succeeded",
        "1.txt": "queued",
    }
    check_books()


def test_a_job_offers_what_can_be_done_to_it(operator: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    labels = {verb.label for verb in JOB_VERBS.values()}

    def offered() -> set[str]:
        html = operator.get(page_of(job)).content.decode()
        return {each for each in labels if f"<button>{each}</button>" in html}

    assert offered() == {"Cancel", "Pause", "Priority high", "Priority low", "Keep"}
    fail_next()
    assert offered() == {"Retry failed", "Run all again", "Discard", "Keep", "Delete"}


@pytest.mark.parametrize(
    ("action", "told_of", "changed"),
    [
        ("pause", "Paused", {"state": "paused"}),
        ("prioritize-high", "Priority high", {"priority": 0}),
        ("keep", "Kept", {"is_kept": True}),
    ],
)
def test_what_else_is_done_to_a_job(
    operator: Client, acme: Organization, action: str, told_of: str, changed: dict[str, object]
) -> None:
    job = submit(acme, "text")
    assert told(act(operator, action, job)) == [f"{told_of}: 1 batch job."]
    assert BatchJob.objects.filter(**changed).get() == job
    assert acts().get(target_id=str(job.pk)).actor_name == "root@example.com"


def test_what_is_gone_is_told(operator: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    gone = BatchJob(pk=uuid.uuid4(), organization=acme, total=1)
    answer = act(operator, "cancel", job, gone)
    assert told(answer) == ["Cancelled: 1 batch job.", "Skipped: 1. No longer there."]
    again = submit(acme, "text")
    assert told(act(operator, "cancel", again, again, again)) == ["Cancelled: 1 batch job."]
    answer = act(operator, "cancel", gone, confirmed=False)
    assert told(answer) == ["None of these is there any more."]


def test_many_that_are_skipped_are_counted_and_some_named(
    operator: Client, acme: Organization
) -> None:
    jobs = [submit(acme, "text") for _ in range(5)]
    for _ in jobs:
        read_next()
    (message,) = told(act(operator, "cancel", *jobs))
    assert message.startswith("Skipped: 5 (")
    assert " and 2 more). There is nothing left to cancel." in message


def test_all_across_pages_is_bounded(
    operator: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_actions, "ACTION_LIMIT", 3)
    monkeypatch.setattr(admin_actions, "PREVIEWED", 2)
    jobs = [submit(acme, "text") for _ in range(5)]
    assert "Select the first 3 batch jobs" in operator.get(list_of("batchjob")).content.decode()
    answer = act(operator, "cancel", jobs[0], confirmed=False, select_across="1")
    html = answer.content.decode()
    assert "Cancel: 3 batch jobs" in html
    assert "these are the first 3" in html
    assert "and 1 more" in html
    assert html.count('name="_selected_action"') == 3
    act(operator, "cancel", *jobs)
    assert BatchJob.objects.filter(state=JobState.CANCELLED).count() == 3


def test_who_may_only_look_sees_all_and_presses_nothing(acme: Organization) -> None:
    job = a_failed_and_a_read(acme)
    waits = submit(acme, "text")
    failed = BatchFile.objects.get(state=State.FAILED)
    client = staff("view_batchjob", "view_batchfile", "view_fileattempt")
    for model in MODELS:
        html = client.get(list_of(model)).content.decode()
        assert 'name="action"' not in html
    for row in (job, failed, FileAttempt.objects.first()):
        assert "<button>" not in client.get(page_of(row)).content.decode()
    for action, row in (("cancel", waits), ("retry", job), ("delete", job), ("retry", failed)):
        act(client, action, row)
    before = {job.pk: "partial", waits.pk: "queued"}
    assert dict(BatchJob.objects.values_list("pk", "state")) == before
    assert not LogEntry.objects.exists()


def test_who_may_change_jobs_does_not_delete_them(acme: Organization) -> None:
    job = a_failed_and_a_read(acme)
    client = staff("change_batchjob")
    assert told(act(client, "delete", job)) == ["No action selected."]
    assert told(act(client, "retry", job)) == ["Run again: 1 batch job."]


@pytest.mark.parametrize("model", MODELS)
def test_who_is_no_staff_gets_nothing(
    client_for: Callable[[User], Client], alice: User, acme: Organization, model: str
) -> None:
    submit(acme, "text")
    client = client_for(alice)
    answer = client.get(list_of(model), follow=True)
    assert answer.status_code == 403
    assert Client().get(list_of(model), follow=True).redirect_chain[-1][0].startswith("/sign-in")
