"""`manage.py watch`, `cancel` and `retry`, in-process and over HTTP alike."""

import json
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job, delete_job
from tests.batches import owner_of, submit
from tests.jobs.cli.conftest import Run
from tests.jobs.runs import fail_next, read_next
from tests.processes import Process

pytestmark = pytest.mark.once

Manage = Callable[..., Process]


def test_jobs_are_watched_until_they_have_ended(
    run: Run, way: list[str], acme: Organization, working: None
) -> None:
    one, two = submit(acme, "one"), submit(acme, "two", "three")
    answer = run("watch", one.pk, two.pk, one.pk, *way)
    assert answer.code == 0, answer.err
    assert [line for line in answer.out.splitlines() if line.startswith("Job ")] == [
        f"Job {one.pk}: succeeded",
        f"Job {two.pk}: succeeded",
    ]
    assert "Job 2 of 2: 2 of 2 done, succeeded" in answer.err.splitlines()


def test_those_that_are_not_done_are_watched_when_none_is_named(
    run: Run, way: list[str], acme: Organization, transactional_db: None
) -> None:
    submit(acme, "done")
    read_next()
    assert run("watch", *way).out == "Every job is done.\n"
    waits = submit(acme, "waits")
    assert run("cancel", waits.pk, *way).code == 0
    assert json.loads(run("watch", "--json", *way).out) == {"jobs": []}


def test_what_failed_shows_in_the_exit_code(
    run: Run, way: list[str], acme: Organization, transactional_db: None
) -> None:
    job = submit(acme, "one", "two")
    read_next()
    fail_next()
    answer = run("watch", job.pk, "--json", *way)
    [told] = json.loads(answer.out)["jobs"]
    assert (answer.code, told["state"]) == (1, "partial")
    assert [file["state"] for file in told["files"]] == ["succeeded", "failed"]


def test_a_job_that_is_not_there_is_no_job_to_watch(run: Run, way: list[str]) -> None:
    answer = run("watch", uuid.uuid4(), *way)
    assert (answer.code, answer.out) == (2, "")
    assert "There is no such job." in answer.err
    for command in ("watch", "jobs"):
        told = json.loads(run(command, uuid.uuid4(), "--json", *way).out)
        assert (told["jobs"], told["problems"][0]["code"]) == ([], "request.not_found")


def test_who_reads_json_gets_json_where_nothing_can_be_asked(run: Run, tmp_path: Path) -> None:
    away = ["--url", "http://127.0.0.1:1", "--key", "dm_nobodys", "--json"]
    for command in (["jobs"], ["submit", tmp_path / "none"]):
        answer = run(*command, *away)
        [problem] = json.loads(answer.out)["problems"]
        assert (answer.code, problem["code"]) == (2, "client.failed")
        assert problem["detail"] in answer.err


def test_each_that_can_be_cancelled_is(
    run: Run, way: list[str], acme: Organization, transactional_db: None
) -> None:
    done, first, second = submit(acme, "done"), submit(acme, "one"), submit(acme, "two")
    read_next()
    answer = run("cancel", first.pk, done.pk, second.pk, "--json", *way)
    told = json.loads(answer.out)
    assert answer.code == 2
    assert [job["id"] for job in told["jobs"]] == [str(first.pk), str(second.pk)]
    assert [problem["job_id"] for problem in told["problems"]] == [str(done.pk)]
    assert f"{done.pk}: " in answer.err
    states = dict(BatchJob.objects.values_list("pk", "state"))
    assert states == {done.pk: "succeeded", first.pk: "cancelled", second.pk: "cancelled"}


def test_what_failed_is_run_again_and_waited_for(
    run: Run, way: list[str], acme: Organization, request: pytest.FixtureRequest
) -> None:
    job = submit(acme, "one")
    fail_next()
    request.getfixturevalue("working")
    answer = run("retry", job.pk, "--wait", *way)
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"Job {job.pk}: succeeded\n")
    assert BatchFile.objects.get().run == 2
    again = run("retry", job.pk, *way)
    assert (again.code, again.out) == (2, "")
    assert f"{job.pk}: " in again.err


@pytest.fixture
def vanishing(transactional_db: None) -> Iterator[None]:
    """Somebody deletes whatever waits."""
    done = threading.Event()

    def delete() -> None:
        try:
            while not done.wait(0.1):
                waiting = list(BatchJob.objects.filter(state="queued"))
                done.wait(0.5)  # for whoever made it wait to have its answer
                for job in waiting:
                    actor = owner_of(job.organization)
                    with transaction.atomic():
                        cancel_job(actor=actor, job=job)
                        delete_job(actor=actor, job=job)
        finally:
            connection.close()

    thread = threading.Thread(target=delete)
    thread.start()
    yield
    done.set()
    thread.join()


def test_a_job_that_goes_while_it_is_waited_for_is_told(
    run: Run, way: list[str], acme: Organization, request: pytest.FixtureRequest
) -> None:
    job = submit(acme, "one")
    fail_next()
    request.getfixturevalue("vanishing")
    answer = run("retry", job.pk, "--wait", "--json", *way)
    told = json.loads(answer.out)
    assert (answer.code, [each["code"] for each in told["problems"]]) == (2, ["request.not_found"])
    assert [each["id"] for each in told["jobs"]] == [str(job.pk)]
    assert "There is no such job." in answer.err


def test_ctrl_c_ends_the_watching_and_not_the_job(
    manage: Manage, acme: Organization, alice: User, data_dir: Path
) -> None:
    job = submit(acme, "one")
    process = manage("watch", "--all", env={"DOCMILL_DATA_DIR": str(data_dir)})
    assert process.wait() == 2  # one's own jobs only: there is nobody to be asked for
    process = manage(
        *("watch", str(job.pk), "--user", alice.email), env={"DOCMILL_DATA_DIR": str(data_dir)}
    )
    process.wait_for("Job: 0 of 1 done")
    process.send(signal.SIGINT)
    assert process.wait() == 130
    assert f"manage.py watch {job.pk} --user {alice.email}" in process.output
    job.refresh_from_db()
    assert job.state == "queued"
