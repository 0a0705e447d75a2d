"""`manage.py jobs ID --pause` and what else it does to a job, in-process and over HTTP alike."""

import json
from typing import Any

import pytest

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.models import BatchFile, BatchJob
from tests.batches import submit
from tests.jobs.cli.conftest import Run
from tests.jobs.runs import fail_next, read_next

pytestmark = pytest.mark.once


def after(run: Run, way: list[str], job: BatchJob, *arguments: str) -> dict[str, Any]:
    """The job as the command tells it when it has done that."""
    answer = run("jobs", job.pk, "--json", *arguments, *way)
    assert answer.code == 0, answer.err
    [told] = json.loads(answer.out)["jobs"]
    return dict(told)


def test_a_job_is_paused_moved_and_resumed(run: Run, way: list[str], acme: Organization) -> None:
    job = submit(acme, "one", "two")
    told = after(run, way, job, "--pause", "--reason", "Wrong\n scans")
    assert (told["state"], told["paused"]["reason"]) == ("paused", "Wrong scans")
    out = run("jobs", job.pk, *way).out
    assert "It is paused by Alice: Wrong scans." in out.splitlines()
    assert after(run, way, job, "--priority", "high")["priority"] == "high"
    assert after(run, way, job, "--resume")["state"] == "queued"
    assert "paused" not in run("jobs", job.pk, *way).out
    assert set(BatchFile.objects.values_list("priority", flat=True)) == {0}


def test_a_job_is_cancelled_and_run_again(run: Run, way: list[str], acme: Organization) -> None:
    job = submit(acme, "one", "two")
    read_next()
    assert after(run, way, job, "--cancel")["state"] == "cancelled"
    assert after(run, way, job, "--retry")["counts"]["queued"] == 1
    fail_next()
    assert after(run, way, job, "--discard")["discarded_at"] is not None
    told = after(run, way, job, "--requeue")
    assert (told["counts"]["queued"], told["discarded_at"]) == (2, None)


def test_a_job_is_kept_and_let_go(run: Run, way: list[str], acme: Organization) -> None:
    job = submit(acme, "one")
    assert after(run, way, job, "--keep")["kept"] is True
    assert after(run, way, job, "--let-go")["kept"] is False


def test_what_cannot_be_done_is_told(run: Run, way: list[str], acme: Organization) -> None:
    job = submit(acme, "one")
    for arguments, told in (
        (["--retry"], "Wait for the job to finish"),
        (["--pause", "--reason", "x" * 201], "reason takes at most 200 characters."),
    ):
        answer = run("jobs", job.pk, *arguments, *way)
        assert (answer.code, answer.out) == (2, "")
        assert told in answer.err
    read_next()
    answer = run("jobs", job.pk, "--pause", *way)
    assert (answer.code, "nothing left to pause" in answer.err) == (2, True)


def test_a_reader_changes_nothing(run: Run, acme: Organization, transactional_db: None) -> None:
    job = submit(acme, "one")
    rita: User = create_user(email="rita@example.com", password=None)
    add_member(organization=acme, user=rita, role=Role.READER)
    for act in ("--pause", "--keep", "--cancel"):
        answer = run("jobs", job.pk, act, "--user", rita.email)
        assert (answer.code, "Your role here" in answer.err) == (2, True)
    stranger: User = create_user(email="sam@example.com", password=None)
    answer = run("jobs", job.pk, "--pause", "--user", stranger.email)
    assert (answer.code, "There is no such job." in answer.err) == (2, True)
    job.refresh_from_db()
    assert (job.state, job.is_kept) == ("queued", False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--pause"], "give its ID"),
        (["ID", "--pause", "--all"], "--user EMAIL instead of --all"),
        (["ID", "--resume", "--reason", "x"], "--reason goes with --pause"),
        (["ID", "--reason", "x"], "--reason goes with --pause"),
        (["ID", "--priority", "urgent"], "invalid choice"),
        (["ID", "--pause", "--resume"], "not allowed with"),
        (["ID", "--keep", "--priority", "low"], "not allowed with"),
    ],
)
def test_arguments_that_do_not_go_together(
    run: Run, acme: Organization, arguments: list[str], told: str
) -> None:
    job = submit(acme, "one")
    given = [str(job.pk) if each == "ID" else each for each in arguments]
    answer = run("jobs", *given)
    assert answer.code != 0
    assert told in answer.err
    job.refresh_from_db()
    assert (job.state, job.priority, job.is_kept) == ("queued", 5, False)


def test_files_of_a_job_cost_no_more_queries(
    run: Run, alice: User, acme: Organization, django_assert_max_num_queries: Any
) -> None:
    job = submit(acme, *(f"text {number}" for number in range(20)))
    with django_assert_max_num_queries(14):
        assert run("jobs", job.pk, "--user", alice.email).code == 0
