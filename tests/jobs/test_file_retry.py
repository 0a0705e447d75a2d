"""Running one file of a finished job again."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.models import BatchFile
from apps.queue.retry import FailureClass
from tests.batches import check_books
from tests.conftest import ApiFor
from tests.jobs.forms import accepted, part, refusal
from tests.jobs.runs import fail_next, read_next


@pytest.fixture
def two_failed(alice_api: APIClient) -> dict[str, Any]:
    """A finished job: one file read, two failed."""
    job = accepted(alice_api, part(), part(b"b", "b.txt"), part(b"c", "c.txt"))
    read_next()
    fail_next()
    fail_next()
    return job


def retry(api: APIClient, name: str) -> Any:
    return api.post(f"/api/batch/files/{BatchFile.objects.get(name=name).pk}/retry")


def test_the_one_file_runs_again_and_the_others_stay(
    alice_api: APIClient, two_failed: dict[str, Any]
) -> None:
    answer = retry(alice_api, "b.txt")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["state"], answer.json()["run"]) == ("queued", 2)
    states = dict(BatchFile.objects.values_list("name", "state"))
    assert states == {"a.txt": "succeeded", "b.txt": "queued", "c.txt": "failed"}
    job = alice_api.get(two_failed["url"]).json()
    assert (job["state"], job["counts"]["failed"], job["counts"]["queued"]) == ("queued", 1, 1)
    read_next()
    check_books()
    assert alice_api.get(two_failed["url"]).json()["state"] == "partial"


def test_what_was_read_is_not_read_again(alice_api: APIClient, two_failed: dict[str, Any]) -> None:
    problem = refusal(retry(alice_api, "a.txt"), 409, "job.nothing_to_retry")
    assert "succeeded" in problem["detail"]


def test_the_job_must_have_ended(alice_api: APIClient) -> None:
    accepted(alice_api, part(), part(b"b", "b.txt"))
    fail_next()
    refusal(retry(alice_api, "a.txt"), 409, "job.unfinished")


def test_a_quarantined_file_is_for_those_who_may_change_every_job(
    alice_api: APIClient, acme: Organization, api_for: ApiFor
) -> None:
    carol: User = create_user(email="carol@example.com", password=None)
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    carols = api_for(carol)
    accepted(carols)
    fail_next(FailureClass.CRASH)
    fail_next(FailureClass.CRASH)
    problem = refusal(retry(carols, "a.txt"), 409, "job.nothing_to_retry")
    assert "owner or admin" in problem["detail"]
    assert retry(alice_api, "a.txt").status_code == 200
    check_books()
