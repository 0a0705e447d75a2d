"""Cancel, retry and delete: who may, what is left at once, and what conflicts."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_user
from apps.core.errors import NotFound
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, Blob, FileAttempt, FileResult
from apps.jobs.services import delete_job, retry_job
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed
from tests.batches import Scripted, check_books, claimed, failure_of, owner_of, submit
from tests.conftest import ApiFor
from tests.jobs.forms import accepted, body, files_of, part, stored
from tests.jobs.runs import fail_next, read_next


@pytest.fixture
def member_api(acme: Organization, api_for: ApiFor) -> Callable[[str, Role], APIClient]:
    """Makes the client of a new member of Acme."""

    def make(name: str, role: Role) -> APIClient:
        user = create_user(email=f"{name}@example.com", password=None, name=name)
        add_member(organization=acme, user=user, role=role)
        return api_for(user)

    return make


def states(job: dict[str, Any]) -> list[str]:
    return list(
        BatchFile.objects.filter(job=job["id"]).order_by("position").values_list("state", flat=True)
    )


def changed(api: APIClient, job: dict[str, Any], verb: str) -> dict[str, Any]:
    answer = api.post(f"{job['url']}/{verb}")
    assert answer.status_code == 200, answer.content
    check_books()
    return dict(answer.json())


def conflict(answer: Any) -> str:
    """The code of the 409 that must have come."""
    assert answer.status_code == 409, answer.content
    check_books()
    return str(answer.json()["code"])


def three_files(api: APIClient) -> dict[str, Any]:
    return accepted(api, *(part(name=f"{number}.txt") for number in (1, 2, 3)))


# --- cancel -------------------------------------------------------------------------------------


def test_cancel_stops_waiting_files_at_once(alice_api: APIClient) -> None:
    job = three_files(alice_api)
    read_next()
    fail_next(FailureClass.TRANSIENT)
    after = changed(alice_api, job, "cancel")
    assert after["state"] == "cancelled"
    assert (after["counts"]["succeeded"], after["counts"]["cancelled"]) == (1, 2)
    assert (after["progress"], after["queue_position"]) == (1.0, None)
    assert after["revision"] > job["revision"]
    assert states(job) == ["succeeded", "cancelled", "cancelled"]
    [first, *_] = files_of(alice_api, job)
    assert body(alice_api.get(first["text_url"])) == b"what was read"


@pytest.mark.parametrize("ending", ["succeeds", "fails"])
def test_a_running_file_is_cancelled_however_its_run_ends(
    alice_api: APIClient, ending: str
) -> None:
    job = three_files(alice_api)
    running = claimed()
    after = changed(alice_api, job, "cancel")
    assert (after["state"], after["finished_at"]) == ("cancelling", None)
    assert (after["counts"]["running"], after["counts"]["cancelled"]) == (1, 2)
    if ending == "succeeds":
        assert succeed(BatchFileHandler, running, Scripted().read())
    else:
        assert fail(BatchFileHandler, running, failure_of(FailureClass.TRANSIENT))
    done = alice_api.get(job["url"]).json()
    assert (done["state"], done["counts"]["cancelled"]) == ("cancelled", 3)
    assert not FileResult.objects.exists()
    check_books()


def test_cancel_may_be_repeated_until_the_job_ends(alice_api: APIClient) -> None:
    job = three_files(alice_api)
    claimed()
    first = changed(alice_api, job, "cancel")
    again = changed(alice_api, job, "cancel")
    assert (again["state"], again["counts"]) == (first["state"], first["counts"])


@pytest.mark.parametrize("ending", ["succeeded", "failed", "cancelled"])
def test_a_finished_job_cannot_be_cancelled(alice_api: APIClient, ending: str) -> None:
    job = accepted(alice_api)
    endings: dict[str, Callable[[], object]] = {
        "succeeded": read_next,
        "failed": fail_next,
        "cancelled": lambda: changed(alice_api, job, "cancel"),
    }
    endings[ending]()
    before = alice_api.get(job["url"]).json()
    assert conflict(alice_api.post(f"{job['url']}/cancel")) == "job.finished"
    assert alice_api.get(job["url"]).json() == before


def test_files_of_other_jobs_go_on(alice_api: APIClient) -> None:
    job, other = three_files(alice_api), three_files(alice_api)
    changed(alice_api, job, "cancel")
    assert states(other) == ["queued"] * 3


# --- retry --------------------------------------------------------------------------------------


def test_retry_opens_a_new_run_and_keeps_the_attempts(alice_api: APIClient) -> None:
    job = three_files(alice_api)
    read_next()
    fail_next()
    fail_next()
    started = BatchJob.objects.get().started_at
    BatchJob.objects.update(started_at=timezone.now() - timedelta(days=9))
    after = changed(alice_api, job, "retry")
    assert (after["state"], after["run"], after["finished_at"]) == ("queued", 2, None)
    assert (after["counts"]["succeeded"], after["counts"]["queued"]) == (1, 2)
    assert after["counts"]["failed"] == 0
    assert states(job) == ["succeeded", "queued", "queued"]
    done, first, _ = files_of(alice_api, job)
    assert (done["run"], first["run"], first["attempts"]) == (1, 2, 1)
    assert (first["error"], first["progress"], first["started_at"]) == (None, 0, None)
    read_next("the second time")
    half = alice_api.get(job["url"]).json()
    assert half["state"] == "running"
    assert half["started_at"] > started.isoformat()
    assert half["eta_seconds"] < 600, "counted from the start of this run"
    read_next()
    end = alice_api.get(job["url"]).json()
    assert (end["state"], end["counts"]["succeeded"]) == ("succeeded", 3)
    shown = alice_api.get(f"/api/batch/files/{first['id']}").json()
    assert [(each["run"], each["outcome"]) for each in shown["attempts_made"]] == [
        (2, "succeeded"),
        (1, "failed"),
    ]


def test_cancelled_files_can_be_retried(alice_api: APIClient) -> None:
    job = three_files(alice_api)
    changed(alice_api, job, "cancel")
    after = changed(alice_api, job, "retry")
    assert (after["state"], after["counts"]["queued"]) == ("queued", 3)
    for _ in range(3):
        read_next()
    assert alice_api.get(job["url"]).json()["state"] == "succeeded"


def test_a_retried_failure_has_all_its_retries_again(alice_api: APIClient) -> None:
    accepted(alice_api)
    for _ in range(2):
        for _ in range(4):
            assert BatchFile.objects.get().state != "failed"
            BatchFile.objects.update(available_at=timezone.now() - timedelta(seconds=1))
            fail_next(FailureClass.TRANSIENT)
        file = BatchFile.objects.get()
        assert file.state == "failed"
        changed(alice_api, {"url": f"/api/batch/jobs/{file.job_id}"}, "retry")
    assert FileAttempt.objects.count() == 8


def test_there_must_be_something_to_retry(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(), part(b"", "bad.txt"))
    assert conflict(alice_api.post(f"{job['url']}/retry")) == "job.unfinished"
    read_next()
    assert alice_api.get(job["url"]).json()["state"] == "partial"
    assert conflict(alice_api.post(f"{job['url']}/retry")) == "job.nothing_to_retry"


def test_quarantined_files_are_for_those_who_may_change_every_job(
    alice_api: APIClient, member_api: Callable[[str, Role], APIClient]
) -> None:
    carol = member_api("carol", Role.CONTRIBUTOR)
    job = accepted(carol)
    fail_next(FailureClass.CRASH)
    fail_next(FailureClass.CRASH)
    assert states(job) == ["quarantined"]
    assert conflict(carol.post(f"{job['url']}/retry")) == "job.nothing_to_retry"
    after = changed(alice_api, job, "retry")
    assert (after["counts"]["queued"], after["counts"]["quarantined"]) == (1, 0)


def test_what_was_saved_of_a_failure_goes_when_a_retry_reads_all(
    alice_api: APIClient, data_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    job = accepted(alice_api)
    fail_next(partial="page one")
    assert Blob.objects.count() == 2
    changed(alice_api, job, "retry")
    with django_capture_on_commit_callbacks(execute=True):
        read_next("page one, page two")
    assert Blob.objects.count() == len(stored(data_dir)) == 2
    [file] = files_of(alice_api, job)
    assert body(alice_api.get(file["text_url"])) == b"page one, page two"


# --- delete -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_delete_takes_rows_and_bytes(alice_api: APIClient, data_dir: Path) -> None:
    job = three_files(alice_api)
    read_next("one")
    read_next("two")
    fail_next()
    assert len(stored(data_dir)) == 5  # three texts, and two results
    answer = alice_api.delete(job["url"])
    assert (answer.status_code, answer.content) == (204, b"")
    for model in (BatchJob, BatchFile, FileAttempt, FileResult, Blob):
        assert not model.objects.exists(), model
    assert stored(data_dir) == []
    assert alice_api.get(job["url"]).status_code == 404
    assert alice_api.delete(job["url"]).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_bytes_that_another_job_uses_stay(
    alice_api: APIClient, charlie_api: APIClient, data_dir: Path
) -> None:
    jobs = [accepted(api, part(b"same bytes")) for api in (alice_api, alice_api, charlie_api)]
    assert len(stored(data_dir)) == 2, "once for each organization"
    for _ in ("alice's", "charlie's"):
        read_next("the same result")
    first, second, elsewhere = jobs
    for gone, api in ((first, alice_api), (second, alice_api)):
        assert api.delete(gone["url"]).status_code == 204
        left = [second, elsewhere] if gone is first else [elsewhere]
        for job in left:
            owner = charlie_api if job is elsewhere else alice_api
            [file] = files_of(owner, job)
            assert body(owner.get(file["content_url"])) == b"same bytes"
            assert body(owner.get(file["text_url"])) == b"the same result"
    assert len(stored(data_dir)) == 2


@pytest.mark.django_db(transaction=True)
def test_bytes_outlive_a_deletion_that_is_taken_back(acme: Organization, data_dir: Path) -> None:
    job = submit(acme, "text")
    read_next()
    before = stored(data_dir)
    with transaction.atomic():
        delete_job(actor=owner_of(acme), job=job)
        transaction.set_rollback(True)
    assert BatchJob.objects.exists()
    assert stored(data_dir) == before


def test_an_unfinished_job_is_not_deleted(alice_api: APIClient) -> None:
    job = three_files(alice_api)
    assert conflict(alice_api.delete(job["url"])) == "job.unfinished"
    claimed()
    changed(alice_api, job, "cancel")
    assert conflict(alice_api.delete(job["url"])) == "job.unfinished"


# --- who may ------------------------------------------------------------------------------------


def prepared(api: APIClient, verb: str) -> dict[str, Any]:
    """A job in a state in which `verb` can be done."""
    job = accepted(api)
    if verb != "cancel":
        fail_next()
    return job


def act(api: APIClient, job: dict[str, Any], verb: str) -> Any:
    return api.delete(job["url"]) if verb == "delete" else api.post(f"{job['url']}/{verb}")


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
def test_readers_nothing_contributors_their_own_admins_all(
    alice_api: APIClient, member_api: Callable[[str, Role], APIClient], verb: str
) -> None:
    carol, dave = (member_api(name, Role.CONTRIBUTOR) for name in ("carol", "dave"))
    erin, rita = member_api("erin", Role.ADMIN), member_api("rita", Role.READER)
    job, *others = [prepared(api, verb) for api in (carol, carol, dave)]
    before = rita.get(job["url"]).json()
    for api in (rita, dave):
        refused = act(api, job, verb)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")
    assert rita.get(job["url"]).json() == before
    assert act(carol, job, verb).status_code in (200, 204)
    for api, other in zip((erin, alice_api), others, strict=True):
        assert act(api, other, verb).status_code in (200, 204)


def test_a_key_with_a_lower_role_may_not_do_what_its_person_may(
    alice_api: APIClient, alice: User, acme: Organization, api_for: ApiFor
) -> None:
    _, token = create_api_key(organization=acme, user=alice, name="reader", role=Role.READER)
    job = accepted(alice_api)
    weak = api_for(token)
    assert weak.get(job["url"]).status_code == 200
    for verb in ("cancel", "retry", "delete"):
        assert act(weak, job, verb).status_code == 403


@pytest.mark.parametrize("change", [retry_job, delete_job])
def test_a_job_that_was_deleted_meanwhile_is_not_there(
    alice_api: APIClient, acme: Organization, change: Callable[..., object]
) -> None:
    accepted(alice_api)
    fail_next()
    seen = BatchJob.objects.get()
    delete_job(actor=owner_of(acme), job=BatchJob.objects.get())
    with pytest.raises(NotFound):
        change(actor=owner_of(acme), job=seen)
