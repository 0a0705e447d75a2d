"""The pages of jobs and files in the browsable API: what they show, offer, and never show."""

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import pause_job
from apps.processors import registry
from apps.queue.retry import FailureClass
from tests.batches import owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.containers import open_next, submit_files, zip_of
from tests.jobs.forms import accepted, field, part
from tests.jobs.runs import fail_next, read_next

pytestmark = [pytest.mark.once, pytest.mark.django_db]

HTML = {"Accept": "text/html"}
JOBS = "/api/batch/jobs"
UPLOAD = "/api/batch/upload"


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == status, answer.content
    return str(answer.content.decode())


def offered(html: str) -> list[tuple[str, str]]:
    """(method, address) of every form that sends something."""
    found = re.findall(r'<form[^>]* data-send="(\w+)" action="([^"]*)"', html)
    return [each for each in found if each[0] != "OPTIONS"]


# --- what a page shows and offers ---------------------------------------------------------------


@pytest.fixture
def browser(alice: User, client_for: ClientFor) -> Client:
    return client_for(alice)


def test_a_page_shows_the_answer_its_own_example_and_what_is_below(
    browser: Client, alice_api: APIClient
) -> None:
    job = accepted(alice_api, field("name", "<May>"), part())
    html = page(browser, job["url"])
    path = f"{JOBS}/{job['id']}"
    assert f"http://testserver{path}</pre>" in html
    assert "$DOCMILL" not in html
    assert "$JOB" not in html
    assert "&quot;&lt;May&gt;&quot;" in html
    assert "<May>" not in html
    for below in ("files", "results.ndjson", "results.zip"):
        assert f'href="{path}/{below}"' in html
    assert f'href="{JOBS}">Jobs</a>' in html
    assert 'aria-current="page" title="API"' in html


def test_nothing_of_a_page_runs_in_it(browser: Client, alice_api: APIClient) -> None:
    job = accepted(alice_api)
    for path in ("/api", JOBS, job["url"], job["files_url"]):
        html = page(browser, path)
        assert not re.search(r"<script(?![^>]*\ssrc=)", html)
        assert not re.search(r"\s(style|on\w+)=", html)
        assert not re.search(r'(src|href)="(https?:)?//(?!testserver)', html)


def test_filters_are_labelled_explained_and_kept(browser: Client, acme: Organization) -> None:
    submit(acme, "text")
    html = page(browser, f"{JOBS}?state=queued&name=x&limit=7")
    for name in ("operation", "priority", "name", "created_after", "created_before", "limit"):
        assert f'<label for="id_{name}">' in html
        assert f'id="id_{name}_helptext"' in html
        assert f'aria-describedby="id_{name}_helptext"' in html
    assert "<legend>State</legend>" in html
    assert re.search(r'value="queued"[^>]*checked', html)
    assert re.search(r'name="limit" value="7"', html)
    sent = "state=queued&operation=&priority=&name=&created_after=&created_before=&limit=50"
    assert "&quot;queued&quot;" in page(browser, f"{JOBS}?{sent}")


def test_a_bad_filter_is_told_beside_it(browser: Client) -> None:
    html = page(browser, f"{JOBS}?priority=urgent", 400)
    assert '<details class="card filters" open>' in html
    assert html.count("urgent is not one of the available choices") >= 2


def test_pages_lead_on_and_back(browser: Client, acme: Organization) -> None:
    for _ in range(3):
        submit(acme, "text")
    following = re.search(r'rel="next" href="([^"]+)"', page(browser, f"{JOBS}?limit=2"))
    assert following
    html = page(browser, following[1].replace("&amp;", "&"))
    assert 'rel="prev"' in html
    assert 'rel="next"' not in html


def test_an_open_job_can_be_held_a_closed_one_run_again_and_deleted(
    browser: Client, alice_api: APIClient
) -> None:
    job = accepted(alice_api, part())
    path = f"{JOBS}/{job['id']}"
    held = [("POST", f"{path}/cancel"), ("PATCH", path)]
    assert sorted(offered(page(browser, path))) == sorted([("POST", f"{path}/pause"), *held])
    alice_api.post(f"{job['url']}/pause")
    assert sorted(offered(page(browser, path))) == sorted([("POST", f"{path}/resume"), *held])
    alice_api.post(f"{job['url']}/resume")
    fail_next()
    html = page(browser, path)
    verbs = [("POST", f"{path}/{verb}") for verb in ("retry", "requeue", "discard")]
    assert sorted(offered(html)) == sorted([*verbs, ("DELETE", path), ("PATCH", path)])
    alice_api.post(f"{job['url']}/discard")
    assert ("POST", f"{path}/discard") not in offered(page(browser, path))
    assert "gone for good" in html
    answer = browser.delete(path, headers=HTML)
    assert "HTTP 204" in answer.content.decode()
    assert offered(answer.content.decode()) == []
    assert f'href="{path}' not in answer.content.decode()
    assert f'Go on to <a href="{JOBS}">Jobs</a>.' in answer.content.decode()
    assert not BatchJob.objects.exists()


def test_what_went_well_is_not_offered_to_be_retried(browser: Client, alice_api: APIClient) -> None:
    job = accepted(alice_api)
    file = read_next()
    path = f"{JOBS}/{job['id']}"
    assert sorted(offered(page(browser, path))) == [
        ("DELETE", path),
        ("PATCH", path),
        ("POST", f"{path}/requeue"),
    ]
    of_file = f"/api/batch/files/{file.pk}"
    assert offered(page(browser, of_file)) == [("POST", f"{of_file}/requeue")]


def test_resume_is_offered_where_it_lets_something_go(browser: Client, acme: Organization) -> None:
    """Also of a job that runs with a file held; not of a file that waits for its like."""
    job = submit(acme, "one", "two")
    first, second = BatchFile.objects.order_by("position")
    pause_job(actor=owner_of(acme), job=job, only=[first])
    expected: dict[Any, set[str]] = {
        job: {"pause", "resume", "cancel"},
        first: {"resume", "cancel"},
        second: {"pause", "cancel"},
    }
    submit_files(acme, {"a.txt": b"the same"})
    follower = submit_files(acme, {"a.txt": b"the same"}).files.get()
    for row, verbs in (expected | {follower: {"pause", "cancel"}}).items():
        path = f"/api/batch/{'jobs' if row is job else 'files'}/{row.pk}"
        told = {("POST", f"{path}/{verb}") for verb in verbs} | {("PATCH", path)}
        assert set(offered(page(browser, path))) == told


def test_what_was_opened_is_not_offered_to_be_read_again(
    browser: Client, acme: Organization
) -> None:
    submit_files(acme, {"all.zip": zip_of("one")})
    opened = open_next({"1.txt": b"one"})
    member = read_next()
    for file, verbs in ((opened, []), (member, ["requeue"])):
        path = f"/api/batch/files/{file.pk}"
        assert offered(page(browser, path)) == [("POST", f"{path}/{verb}") for verb in verbs]


def test_a_job_that_is_being_cancelled_has_nothing_to_offer(
    browser: Client, alice_api: APIClient, acme: Organization
) -> None:
    from tests.batches import claimed

    job = accepted(alice_api)
    claimed()
    alice_api.post(f"{job['url']}/cancel")
    assert offered(page(browser, job["url"])) == []


def test_a_file_that_failed_can_be_run_again(browser: Client, alice_api: APIClient) -> None:
    accepted(alice_api)
    file = fail_next()
    path = f"/api/batch/files/{file.pk}"
    assert offered(page(browser, path)) == [("POST", f"{path}/retry")]
    assert offered(page(browser, f"{path}/retry", 405)) == [("POST", f"{path}/retry")]


def test_addresses_that_only_take_something_offer_to_send_it(
    browser: Client, alice_api: APIClient
) -> None:
    job = accepted(alice_api)
    path = f"{JOBS}/{job['id']}"
    for verb in ("cancel", "pause", "resume", "retry", "requeue", "discard"):
        html = page(browser, f"{path}/{verb}", 405)
        assert offered(html) == [("POST", f"{path}/{verb}")]
        assert "Nothing to read at this address" in html
    html = page(browser, UPLOAD, 405)
    assert offered(html) == [("POST", UPLOAD)]
    for name in ("file", "operation", "priority", "name", "options"):
        assert f'<label for="id_{name}">' in html
    assert re.search(r'<input type="file" name="file"[^>]* multiple', html)
    for operation in registry.operations():
        assert f'<option value="{operation}"' in html


def test_readers_and_contributors_are_offered_what_they_may(
    client_for: ClientFor, alice_api: APIClient, acme: Organization, bob: User
) -> None:
    job = accepted(alice_api)
    carol = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    path = f"{JOBS}/{job['id']}"

    def all_offered(user: User, file: BatchFile) -> list[tuple[str, str]]:
        browser = client_for(user)
        of_file = f"/api/batch/files/{file.pk}"
        answers = [page(browser, address) for address in (path, of_file)]
        verbs = ("cancel", "pause", "resume", "retry", "requeue")
        only_taking = [f"{each}/{verb}" for each in (path, of_file) for verb in verbs]
        only_taking += [f"{path}/discard", UPLOAD]
        answers.append(page(browser, "/api/batch/pause"))
        answers += [page(browser, address, 405) for address in only_taking]
        return [each for answer in answers for each in offered(answer)]

    for ended in (False, True):
        file = fail_next() if ended else BatchFile.objects.get()
        assert all_offered(bob, file) == []
        assert all_offered(carol, file) == [("POST", UPLOAD)]


def test_quarantined_files_are_offered_to_those_who_may_change_every_job(
    client_for: ClientFor, alice: User, acme: Organization, api_for: Any
) -> None:
    carol = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    job = accepted(api_for(carol))
    fail_next(FailureClass.CRASH)
    fail_next(FailureClass.CRASH)
    path = f"{JOBS}/{job['id']}"
    assert ("POST", f"{path}/retry") not in offered(page(client_for(carol), path))
    assert ("POST", f"{path}/retry") in offered(page(client_for(alice), path))


def test_a_form_is_sent_with_the_session_and_its_token(
    alice: User, client_for: ClientFor, data_dir: Any
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    browser = client_for(alice)
    browser.handler.enforce_csrf_checks = True
    html = page(browser, UPLOAD, 405)
    token = re.search(r'"X-CSRFToken": "(\w+)"', html)
    assert token

    def sent(**headers: str) -> Any:
        form = {"file": [SimpleUploadedFile("a.txt", b"a"), SimpleUploadedFile("b.txt", b"b")]}
        return browser.post(UPLOAD, form, headers={**HTML, **headers})

    refused = sent()
    assert refused.status_code == 403
    assert "HTTP 403" in refused.content.decode()
    answer = sent(**{"X-CSRFToken": token[1]})
    assert answer.status_code == 202
    html = answer.content.decode()
    job = BatchJob.objects.get()
    assert job.total == 2
    assert f"<dt>Location</dt><dd><code>http://testserver{JOBS}/{job.pk}</code>" in html
    assert f'<a href="http://testserver{JOBS}/{job.pk}">' in html


def test_a_conflict_is_told_on_a_page(browser: Client, alice_api: APIClient) -> None:
    job = accepted(alice_api)
    answer = browser.delete(job["url"], headers=HTML)
    assert answer.status_code == 409
    assert "HTTP 409" in answer.content.decode()


# --- what a page never shows, and what it costs --------------------------------------------------


def test_a_stranger_finds_nothing_of_others(
    charlie: User, client_for: ClientFor, alice_api: APIClient
) -> None:
    job = accepted(alice_api, field("name", "secret-job"), part(name="secret-file.txt"))
    file = fail_next()
    stranger = client_for(charlie)
    of_job, of_file = f"{JOBS}/{job['id']}", f"/api/batch/files/{file.pk}"
    paths = ["/api", "/api/docs", UPLOAD, JOBS, of_job, of_file, f"{of_file}/retry"]
    paths += [f"{of_job}/{below}" for below in ("files", "cancel", "retry")]
    for path in paths:
        for verb in ("GET", "OPTIONS", "POST", "DELETE"):
            answer = stranger.generic(verb, path, headers=HTML)
            html = answer.content.decode()
            for foreign in ("Acme", "alice", "secret"):
                assert foreign not in html, (verb, path)
    for path in paths[4:]:
        answer = stranger.get(path, headers=HTML)
        assert answer.status_code in (404, 405)
        assert offered(answer.content.decode()) == []
    assert BatchJob.objects.count() == 1


def test_the_number_of_queries_of_a_page_does_not_grow(
    browser: Client, alice_api: APIClient, acme: Organization
) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            page(browser, path)
        return len(seen)

    job = accepted(alice_api, *(part(name=f"{n}.txt") for n in range(3)))
    many = accepted(alice_api, *(part(name=f"{n}.txt") for n in range(40)))
    for _ in range(8):
        submit(acme, "text")
    of_ten = queries(f"{JOBS}?limit=100")
    model = BatchJob.objects.get(pk=job["id"])
    rows = []
    for _ in range(9990):
        model.pk = uuid.uuid4()
        rows.append(BatchJob(**{f.attname: getattr(model, f.attname) for f in model._meta.fields}))
    BatchJob.objects.bulk_create(rows, batch_size=500)
    # One more where what is kept for a moment is asked again.
    assert of_ten - 1 <= queries(f"{JOBS}?limit=100") <= of_ten + 1 <= 13
    assert queries(job["files_url"]) == queries(many["files_url"]) <= 10
