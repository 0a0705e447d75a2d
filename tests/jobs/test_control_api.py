"""What is done to jobs and files by API: its shapes, its strictness, and who may."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.audit.models import AuditEntry
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import pause_job
from apps.queue.claim import claim
from apps.queue.pauses import pause
from apps.queue.retry import FailureClass
from tests.batches import SOMEBODY, check_books, claimed, submit
from tests.conftest import ApiFor
from tests.jobs.forms import accepted, done, files_of, part, read, refusal
from tests.jobs.runs import fail_next, read_next
from tests.operators import operator_in


@pytest.fixture
def job(alice_api: APIClient) -> dict[str, Any]:
    """Alice's, of three files that wait."""
    return accepted(alice_api, *(part(name.encode(), f"{name}.txt") for name in "abc"))


@pytest.fixture
def contributor(acme: Organization, api_for: ApiFor) -> APIClient:
    user = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=user, role=Role.CONTRIBUTOR)
    return api_for(user)


def ask(api: APIClient, verb: str, path: str, data: Any = None) -> Any:
    send: Callable[..., Any] = getattr(api, verb)
    return send(path, data, format="json") if data is not None else send(path)


def url_of(file: BatchFile) -> str:
    return f"/api/batch/files/{file.pk}"


def nothing_starts() -> bool:
    return claim("default", SOMEBODY) is None


# --- jobs -----------------------------------------------------------------------------------------


def test_a_paused_job_tells_who_why_and_since_when(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    assert (job["paused"], job["queue_position"]) == (None, 0)
    before = timezone.now()
    told = done(ask(alice_api, "post", f"{job['url']}/pause", {"reason": " wrong\x00\n scans "}))
    assert (told["state"], told["queue_position"], told["eta_seconds"]) == ("paused", None, None)
    assert set(told["paused"]) == {"by", "reason", "since"}
    assert (told["paused"]["by"], told["paused"]["reason"]) == ("Alice", "wrong scans")
    since = datetime.fromisoformat(told["paused"]["since"])
    assert abs(since - before) < timedelta(seconds=30)
    assert read(alice_api, job["url"]) == told
    assert all(file["is_held"] for file in files_of(alice_api, job))
    assert nothing_starts()
    told = done(alice_api.post(f"{job['url']}/resume"))
    assert (told["state"], told["paused"], told["queue_position"]) == ("queued", None, 0)
    assert not any(file["is_held"] for file in files_of(alice_api, job))
    assert not nothing_starts()
    check_books()


def test_an_operator_is_no_name_to_members(
    alice_api: APIClient, job: dict[str, Any], acme: Organization
) -> None:
    pause_job(actor=operator_in(acme), job=BatchJob.objects.get())
    assert read(alice_api, job["url"])["paused"]["by"] == "an operator"


def test_the_reason_is_optional_and_read_strictly(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    path = f"{job['url']}/pause"
    assert done(alice_api.post(path))["paused"]["reason"] == ""
    assert (
        done(ask(alice_api, "post", path, {"reason": "x" * 200}))["paused"]["reason"] == "x" * 200
    )
    for bad, field in (
        ({"reason": "x" * 201}, "reason"),
        ({"reason": None}, "reason"),
        ({"reason": 7}, "reason"),
        ({"why": "x"}, "why"),
    ):
        problem = refusal(ask(alice_api, "post", path, bad), 400, "request.invalid")
        assert [each["field"] for each in problem["errors"]] == [field]
    refusal(ask(alice_api, "post", path, ["reason"]), 400, "request.invalid")
    refusal(alice_api.post(f"{path}?reason=x"), 400, "request.invalid")
    assert done(alice_api.post(path, {"reason": "of a form"}))["paused"]["reason"] == "of a form"


def test_priority_and_keeping_change_what_is_given(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    assert (job["priority"], job["kept"]) == ("normal", False)
    told = done(ask(alice_api, "patch", job["url"], {"priority": "high"}))
    assert (told["priority"], told["kept"]) == ("high", False)
    assert set(BatchFile.objects.values_list("priority", flat=True)) == {0}
    told = done(ask(alice_api, "patch", job["url"], {"kept": True, "priority": "low"}))
    assert (told["priority"], told["kept"]) == ("low", True)
    assert done(ask(alice_api, "patch", job["url"], {"kept": False}))["kept"] is False
    form = alice_api.patch(job["url"], {"kept": "true"}, format="multipart")
    assert done(form)["kept"] is True


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"priority": "urgent"},
        {"priority": 0},
        {"priority": None},
        {"kept": "true"},
        {"kept": 1},
        {"kept": None},
        {"name": "x"},
        {"priority": "high", "state": "succeeded"},
        {"priority": "high", "kept": "maybe"},
        [],
        ["priority"],
    ],
)
def test_a_change_that_is_not_understood_changes_nothing(
    alice_api: APIClient, job: dict[str, Any], bad: Any
) -> None:
    before = read(alice_api, job["url"])
    refusal(ask(alice_api, "patch", job["url"], bad), 400, "request.invalid")
    assert read(alice_api, job["url"]) == before


def test_both_changes_are_made_or_none(alice_api: APIClient, job: dict[str, Any]) -> None:
    for _ in range(3):
        read_next()
    both = {"priority": "high", "kept": True}
    refusal(ask(alice_api, "patch", job["url"], both), 409, "job.finished")
    assert read(alice_api, job["url"])["kept"] is False
    assert done(ask(alice_api, "patch", job["url"], {"kept": True}))["kept"] is True


def test_a_requeue_reads_everything_again(alice_api: APIClient, job: dict[str, Any]) -> None:
    refusal(alice_api.post(f"{job['url']}/requeue"), 409, "job.unfinished")
    read_next()
    read_next()
    fail_next()
    told = done(alice_api.post(f"{job['url']}/requeue"))
    assert (told["state"], told["run"], told["counts"]["queued"]) == ("queued", 2, 3)
    check_books()


def test_what_failed_is_discarded_once_and_counts_again_after_a_retry(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    path = f"{job['url']}/discard"
    refusal(alice_api.post(path), 409, "job.unfinished")
    read_next()
    read_next()
    fail_next()
    told = done(alice_api.post(path))
    assert told["discarded_at"] is not None
    assert done(alice_api.post(path))["discarded_at"] == told["discarded_at"]
    assert done(alice_api.post(f"{job['url']}/retry"))["discarded_at"] is None
    read_next()
    refusal(alice_api.post(path), 409, "job.nothing_to_discard")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_what_has_ended_is_not_held(alice_api: APIClient, job: dict[str, Any], verb: str) -> None:
    for _ in range(3):
        read_next()
    refusal(alice_api.post(f"{job['url']}/{verb}"), 409, "job.finished")
    [file, *_] = BatchFile.objects.all()
    refusal(alice_api.post(f"{url_of(file)}/{verb}"), 409, "job.finished")


# --- files ----------------------------------------------------------------------------------------


def test_one_file_is_held_and_let_go(alice_api: APIClient, job: dict[str, Any]) -> None:
    first = BatchFile.objects.order_by("position")[0]
    told = done(ask(alice_api, "post", f"{url_of(first)}/pause", {"reason": "Blurred"}))
    assert (told["state"], told["is_held"]) == ("queued", True)
    assert [file["is_held"] for file in files_of(alice_api, job)] == [True, False, False]
    entry = AuditEntry.objects.get(action="job.pause")
    assert (entry.reason, str(first.pk) in entry.detail) == ("Blurred", True)
    assert (told["paused"]["by"], told["paused"]["reason"]) == ("Alice", "Blurred")
    assert datetime.fromisoformat(told["paused"]["since"]) == entry.at
    assert read(alice_api, job["url"])["paused"] is None
    assert read_next().pk != first.pk
    told = done(alice_api.post(f"{url_of(first)}/resume"))
    assert (told["is_held"], told["paused"]) == (False, None)
    assert read_next().pk == first.pk


def test_a_file_that_runs_is_not_held_by_itself(alice_api: APIClient, job: dict[str, Any]) -> None:
    running = claimed()
    problem = refusal(alice_api.post(f"{url_of(running)}/pause"), 409, "file.running")
    assert running.name in problem["detail"]
    assert not AuditEntry.objects.filter(action="job.pause").exists()


def test_one_file_is_moved_to_the_front(alice_api: APIClient, job: dict[str, Any]) -> None:
    last = BatchFile.objects.order_by("-position")[0]
    done(ask(alice_api, "patch", url_of(last), {"priority": "high"}))
    assert read(alice_api, job["url"])["priority"] == "normal"
    assert claimed().pk == last.pk
    for bad in ({}, {"kept": True}, {"priority": "urgent"}):
        refusal(ask(alice_api, "patch", url_of(last), bad), 400, "request.invalid")


def test_one_file_is_cancelled_while_the_others_go_on(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    first = BatchFile.objects.order_by("position")[0]
    assert done(alice_api.post(f"{url_of(first)}/cancel"))["state"] == "cancelled"
    refusal(alice_api.post(f"{url_of(first)}/cancel"), 409, "job.finished")
    assert read(alice_api, job["url"])["state"] == "queued"
    read_next()
    running = claimed()
    assert done(alice_api.post(f"{url_of(running)}/cancel"))["state"] == "running"
    running.refresh_from_db()
    assert running.cancel_requested
    check_books()


def test_one_file_is_read_again(alice_api: APIClient, job: dict[str, Any]) -> None:
    first = read_next()
    read_next()
    read_next()
    told = done(alice_api.post(f"{url_of(first)}/requeue"))
    assert (told["state"], told["run"], bool(told["text_url"])) == ("queued", 2, True)
    assert read(alice_api, job["url"])["counts"]["succeeded"] == 2
    check_books()


def test_attempts_tell_their_worker_and_no_traceback(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    file = fail_next()
    [attempt] = read(alice_api, url_of(file))["attempts_made"]
    assert attempt["worker"] == str(SOMEBODY)
    assert "traceback" not in attempt


def test_a_file_is_held_by_whatever_is_paused(
    alice_api: APIClient, acme: Organization, other: Organization
) -> None:
    job = accepted(alice_api, part(b"a", "a.txt"), part(b"b", "b.txt"))
    fail_next()

    def held() -> list[bool]:
        return [file["is_held"] for file in files_of(alice_api, job)]

    pause(by=None, organization=other)
    pause(by=None, lane="ocr")
    assert held() == [False, False]
    pause(by=None, lane="default", organization=acme)
    assert held() == [False, True], "what has ended waits for nothing"


def test_a_file_that_waits_for_another_is_not_held(alice_api: APIClient) -> None:
    first, second = (accepted(alice_api, part(b"the same", "a.txt")) for _ in range(2))
    [leader], [follower] = files_of(alice_api, first), files_of(alice_api, second)
    assert (follower["waits_for"], follower["is_held"]) == (leader["id"], False)
    assert done(alice_api.post(f"{second['url']}/pause"))["state"] == "paused"
    [follower] = files_of(alice_api, second)
    assert follower["is_held"]


# --- who may --------------------------------------------------------------------------------------

JOB_VERBS = {
    "pause": "waits",
    "resume": "waits",
    "cancel": "waits",
    "requeue": "failed",
    "discard": "failed",
}


@pytest.mark.parametrize("verb", [*JOB_VERBS, "change"])
def test_readers_nothing_contributors_their_own_owners_all(
    alice_api: APIClient, bob_api: APIClient, contributor: APIClient, verb: str
) -> None:
    def act(api: APIClient, job: dict[str, Any]) -> Any:
        if verb == "change":
            return ask(api, "patch", job["url"], {"kept": True})
        return api.post(f"{job['url']}/{verb}")

    jobs = []
    for number, api in enumerate((contributor, contributor, alice_api)):
        jobs.append(accepted(api, part(f"{number}".encode())))
        if JOB_VERBS.get(verb) == "failed":
            fail_next()
    own, other_own, alices = jobs
    for api, job in ((bob_api, own), (bob_api, alices), (contributor, alices)):
        refusal(act(api, job), 403, "auth.forbidden")
    for api, job in ((contributor, own), (alice_api, other_own), (alice_api, alices)):
        done(act(api, job))


def test_quarantined_files_are_requeued_by_those_who_may_change_every_job(
    alice_api: APIClient, contributor: APIClient
) -> None:
    job = accepted(contributor)
    fail_next(FailureClass.CRASH)
    file = fail_next(FailureClass.CRASH)
    refusal(contributor.post(f"{job['url']}/requeue"), 409, "job.nothing_to_retry")
    problem = refusal(contributor.post(f"{url_of(file)}/requeue"), 409, "job.nothing_to_retry")
    assert "owner or admin" in problem["detail"]
    assert done(alice_api.post(f"{url_of(file)}/requeue"))["state"] == "queued"


def test_a_list_of_paused_jobs_costs_no_more_queries(
    alice_api: APIClient, acme: Organization, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        job = submit(acme, f"text {number}")
        if number % 2:
            pause_job(actor=operator_in(acme), job=job)
    pause(by=None, lane="ocr")
    with django_assert_max_num_queries(14):
        told = read(alice_api, "/api/batch/jobs?limit=100")["results"]
    assert [bool(each["paused"]) for each in told].count(True) == 6
