"""`manage.py jobs`, in-process and over HTTP alike."""

import json
import uuid
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.jobs.models import BatchJob
from apps.jobs.services import cancel_job
from apps.queue.loop import work_once
from tests.batches import submit, submit_exactly
from tests.jobs.cli.conftest import Run

pytestmark = pytest.mark.once


def listed(out: str) -> list[str]:
    """The ids in a printed table."""
    return [line.split()[0] for line in out.splitlines()[1:]]


def cancelled(organization: Organization, user: User) -> BatchJob:
    actor = Actor(user=user, organization=organization, role=Role.OWNER)
    return cancel_job(actor=actor, job=submit(organization, "text"))


def test_the_newest_comes_first(run: Run, way: list[str], acme: Organization) -> None:
    made = [str(submit(acme, "text").pk) for _ in range(3)]

    assert listed(run("jobs", *way).out) == made[::-1]
    assert listed(run("jobs", "--limit", "2", *way).out) == made[:0:-1]


def test_only_some_states(run: Run, way: list[str], acme: Organization, alice: User) -> None:
    queued, ended = submit(acme, "text"), cancelled(acme, alice)

    assert listed(run("jobs", "--state", "queued", *way).out) == [str(queued.pk)]
    assert listed(run("jobs", "--state", "cancelled", *way).out) == [str(ended.pk)]
    both = run("jobs", "--state", "queued", "--state", "cancelled", *way)
    assert listed(both.out) == [str(ended.pk), str(queued.pk)]
    assert run("jobs", "--state", "failed", *way).out == "No job is failed.\n"


def test_a_row_says_how_far_it_is(run: Run, way: list[str], acme: Organization) -> None:
    job = submit(acme, "one", "two")
    BatchJob.objects.filter(pk=job.pk).update(name="Letters")

    row = run("jobs", *way).out.splitlines()[1].split()

    assert row[:5] == [str(job.pk), "Letters", "queued", "0/2", "0"]
    assert row[-1] == "extract"


def test_one_job_with_its_files(run: Run, way: list[str], acme: Organization) -> None:
    job = submit_exactly(acme, "Seven quiet otters.", "two")
    work_once(["default"])

    answer = run("jobs", job.pk, *way)

    lines = [line.split() for line in answer.out.splitlines()]
    assert answer.code == 0
    assert lines[1][:3] == [str(job.pk), "succeeded", "2/2"]
    assert lines[4][:4] == ["1.txt", "succeeded", "1", "3"]


def test_json_is_what_the_api_says(
    run: Run, way: list[str], acme: Organization, alice_api: Any
) -> None:
    job = submit(acme, "text")
    api = f"/api/batch/jobs/{job.pk}"

    [in_list] = json.loads(run("jobs", "--json", *way).out)["jobs"]
    [alone] = json.loads(run("jobs", job.pk, "--json", *way).out)["jobs"]

    assert in_list.keys() == alice_api.get("/api/batch/jobs").json()["results"][0].keys()
    files = alone.pop("files")
    assert alone.keys() == alice_api.get(api).json().keys()
    assert [file.keys() for file in files] == [
        file.keys() for file in alice_api.get(f"{api}/files").json()["results"]
    ]


def test_no_job_yet(run: Run, way: list[str]) -> None:
    answer = run("jobs", *way)

    assert answer.code == 0
    assert answer.out == "There is no job yet. Submit documents: manage.py submit FOLDER\n"
    assert json.loads(run("jobs", "--json", *way).out) == {"jobs": []}


def test_what_is_not_yours_does_not_exist(
    run: Run, way: list[str], acme: Organization, other: Organization
) -> None:
    theirs = submit(other, "text")

    for job_id in (theirs.pk, uuid.uuid4()):
        answer = run("jobs", job_id, *way)
        assert (answer.code, answer.out) == (2, "")
        assert "There is no such job." in answer.err
    assert str(theirs.pk) not in run("jobs", *way).out


def test_an_operator_sees_all(run: Run, acme: Organization, other: Organization) -> None:
    made = [str(submit(each, "text").pk) for each in (acme, other)]

    assert listed(run("jobs", "--all").out) == made[::-1]
    assert run("jobs", made[1], "--all").code == 0


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
def test_limits_out_of_bounds(run: Run, limit: str) -> None:
    answer = run("jobs", "--all", f"--limit={limit}")

    assert answer.code != 0
    assert "from 1 to 100" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--user", "a@example.com", "--all"], "not both"),
        (["--user", "a@example.com", "--url", "http://localhost"], "--user is for this"),
        (["--all", "--url", "http://localhost"], "--all is for this"),
        (["--key", "dm_x"], "give --url too"),
        (["--url", "http://localhost"], "Give an API key"),
        (["--url", "http://localhost", "--key", "dm x"], "characters that no key has"),
        (["--url", "localhost:8000", "--key", "dm_x"], "an address such as"),
        (["--url", "http://", "--key", "dm_x"], "an address such as"),
        (["--url", "http://a:b@localhost", "--key", "dm_x"], "an address such as"),
    ],
)
def test_options_that_do_not_go_together(run: Run, arguments: list[str], words: str) -> None:
    answer = run("jobs", *arguments)

    assert answer.code != 0
    assert words in answer.err


def test_the_environment_may_name_the_other_installation(
    run: Run,
    live_server: LiveServer,
    token: str,
    acme: Organization,
    monkeypatch: pytest.MonkeyPatch,
    other: Organization,
) -> None:
    mine, theirs = submit(acme, "text"), submit(other, "text")
    monkeypatch.setenv("DOCMILL_URL", live_server.url)
    monkeypatch.setenv("DOCMILL_API_KEY", token)

    assert listed(run("jobs").out) == [str(mine.pk)]
    assert listed(run("jobs", "--all").out) == [str(theirs.pk), str(mine.pk)]
    monkeypatch.setenv("DOCMILL_URL", "nonsense")
    assert "DOCMILL_URL is not an address" in run("jobs").err
