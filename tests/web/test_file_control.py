"""The page of one file: what holds it, whose result it has, its workers, and what can be done."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.jobs.services import pause_job
from apps.jobs.services.submitting import sealed
from apps.queue.models import WorkerNode
from apps.queue.pauses import pause
from apps.queue.retry import FailureClass
from apps.queue.settle import fail
from tests.batches import SOMEBODY, claimed, failure_of, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.containers import submit_files
from tests.jobs.runs import fail_next, read_next
from tests.operators import page_of, superuser
from tests.web.file_pages import only_file, shown, words

pytestmark = pytest.mark.once

PASSWORD = "open\\<sesame>"
"""It is quoted with two backslashes."""
HTMX = {"HX-Request": "true"}


def post(browser: Client, file: BatchFile, action: str) -> list[str]:
    answer = browser.post(f"/files/{file.pk}/{action}", follow=True)
    assert answer.redirect_chain == [(f"/files/{file.pk}", 302)], answer.content
    return told(answer)


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def state_of(file: BatchFile) -> str:
    file.refresh_from_db()
    return file.state


def actions(page: str, file: BatchFile) -> set[str]:
    shown = page.split("<dialog", maxsplit=1)[0]
    return set(re.findall(rf'(?:action|href)="/files/{file.pk}/([a-z]+)"', shown))


# --- what it waits for, and whose result it has -------------------------------------------------


def test_a_duplicate_leads_to_the_file_whose_result_it_has(
    alice_web: Client, acme: Organization
) -> None:
    first = only_file(submit_files(acme, {"first.txt": b"the same"}))
    read_next("what was read")
    second = only_file(submit_files(acme, {"second.txt": b"the same"}))
    assert second.state == "duplicate"
    page = shown(alice_web, second)
    assert "It was not read itself: it has the result of first.txt" in words(page)
    assert f'href="/files/{first.pk}"' in page
    assert "what was read" in page
    assert "It did not have to be read." in page
    assert 'data-state="duplicate"' in page
    BatchFile.objects.filter(pk=second.pk).update(duplicate_of=None)
    assert "had been read before, and is gone since" in words(shown(alice_web, second))


def test_one_that_waits_leads_to_the_file_that_it_waits_for(
    alice_web: Client, acme: Organization
) -> None:
    first, second = (only_file(submit_files(acme, {"a.txt": b"the same"})) for _ in range(2))
    page = shown(alice_web, second)
    assert "Waits for another file" in words(page)
    assert f'href="/files/{first.pk}"' in page
    assert "Held back" not in page


def test_a_file_tells_what_holds_it(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    file = only_file(job)
    seen = shown(alice_web, file)
    address = seen.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    pause_job(actor=owner_of(acme), job=job, reason="Wrong scans")
    text = words(shown(alice_web, file))
    assert "Held back It starts once it is resumed." in text
    assert "The job is paused by Alice Wrong scans" in text
    news = alice_web.get(address, headers=HTMX)
    assert news.status_code == 200
    assert 'data-state="paused"' in news.content.decode()
    alice_web.post(f"/jobs/{job.pk}/resume")
    pause_job(actor=owner_of(acme), job=job, only=[file], reason="<b>Blurred</b>")
    assert "This file is paused by Alice <b>Blurred</b>" in words(shown(alice_web, file))
    pause(by=None, lane="default", reason="Storage failed")
    assert "The lane default is paused: Storage failed" in words(shown(alice_web, file))


def test_what_failed_and_is_held_is_tried_again_once_it_is_resumed(
    alice_web: Client, acme: Organization
) -> None:
    job = submit(acme, "text")
    file = fail_next(FailureClass.TRANSIENT)
    assert "It is tried again in less than a minute: retry 1 of 3." in words(shown(alice_web, file))
    pause_job(actor=owner_of(acme), job=job)
    text = words(shown(alice_web, file))
    assert "It is tried again once it is resumed: retry 1 of 3." in text
    assert "in less than a minute" not in text


# --- what can be done ---------------------------------------------------------------------------


def test_one_file_is_cancelled(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "one", "two")
    running = claimed()
    waiting = job.files.exclude(pk=running.pk).get()
    for file in (waiting, running):
        expected = {"cancel", "pause"} if file is waiting else {"cancel"}
        assert actions(shown(alice_web, file), file) == expected
        assert post(alice_web, file, "cancel") == [
            "Cancelled: if it runs, it stops within seconds."
        ]
    assert (state_of(waiting), state_of(running)) == ("cancelled", "running")
    assert running.cancel_requested
    assert actions(shown(alice_web, running), running) == set()
    assert post(alice_web, waiting, "cancel") == ["There is nothing left to cancel."]


def test_one_file_is_paused_with_a_reason_and_resumed(
    alice_web: Client, acme: Organization, bob: User, client_for: ClientFor
) -> None:
    submit(acme, "one", "two")
    file, other = BatchFile.objects.order_by("position")
    page = shown(alice_web, file)
    assert actions(page, file) == {"cancel", "pause"}
    assert 'data-dialog="pause-dialog"' in page
    asked = alice_web.get(f"/files/{file.pk}/pause").content.decode()
    for html in (page, asked):
        assert "Pause this file?" in html
        assert 'name="reason" maxlength="200"' in html
        assert f'href="/files/{file.pk}" data-close' in html
        form = html.split(f'action="/files/{file.pk}/pause"')[1].split("</form>")[0]
        assert 'name="csrfmiddlewaretoken"' in form
    file.refresh_from_db()
    assert not file.is_held, "a look changes nothing"
    answer = alice_web.post(f"/files/{file.pk}/pause", {"reason": "Wrong scan"}, follow=True)
    assert told(answer) == ["Paused: it waits to be resumed."]
    for browser in (alice_web, client_for(bob)):
        assert "This file is paused by Alice Wrong scan" in words(shown(browser, file))
    assert actions(shown(alice_web, file), file) == {"cancel", "resume"}
    assert claimed().pk == other.pk
    assert alice_web.get(f"/files/{file.pk}/resume").status_code == 405
    assert post(alice_web, file, "resume") == ["The file goes on."]
    assert claimed().pk == file.pk


def test_each_file_tells_its_own_latest_pause(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "one", "two")
    first, second = BatchFile.objects.order_by("position")
    for file, reason in ((first, "Old"), (first, "Blurred"), (second, "Upside down")):
        pause_job(actor=owner_of(acme), job=job, only=[file], reason=reason)
    for file, reason in ((first, "Blurred"), (second, "Upside down")):
        assert f"This file is paused by Alice {reason} " in words(shown(alice_web, file))


def test_what_runs_or_has_ended_is_not_said_to_be_paused(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "one", "two")
    file = claimed()
    path = f"/files/{file.pk}/pause"
    for answer in (alice_web.get(path, follow=True), alice_web.post(path, follow=True)):
        [line] = told(answer)
        assert line.endswith(" is being read. Cancel it, or wait for its end.")
    assert 'id="paused"' not in shown(alice_web, file)
    other = read_next()
    path = f"/files/{other.pk}/pause"
    assert told(alice_web.get(path, follow=True))[0].startswith("The file is finished")
    assert post(alice_web, other, "pause") == ["There is nothing left to pause."]
    assert alice_web.post(f"/files/{file.pk}/pause", {"reason": "x" * 201}).status_code == 400


def test_news_bring_the_other_button(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "one")
    file = only_file(job)
    live = re.search(r'hx-get="([^"]+)"', shown(alice_web, file))
    assert live
    pause_job(actor=owner_of(acme), job=job, only=[file])
    news = alice_web.get(unescape(live[1]), headers=HTMX).content.decode()
    assert 'id="file-control" hx-swap-oob="true"' in news
    assert actions(news, file) >= {"resume", "cancel"}
    assert "pause" not in actions(news, file)


def test_a_file_that_waits_for_its_like_has_nothing_to_hold(
    alice_web: Client, acme: Organization
) -> None:
    _, second = (only_file(submit_files(acme, {"a.txt": b"the same"})) for _ in range(2))
    assert actions(shown(alice_web, second), second) == {"cancel"}


def test_forms_need_their_token(alice: User, acme: Organization, client_for: ClientFor) -> None:
    file = only_file(submit(acme, "one"))
    strict = client_for(alice)
    strict.handler.enforce_csrf_checks = True
    for verb in ("cancel", "pause", "resume", "requeue", "retry"):
        assert strict.post(f"/files/{file.pk}/{verb}").status_code == 403
        if verb != "pause":
            assert strict.get(f"/files/{file.pk}/{verb}").status_code == 405
    assert state_of(file) == "queued"
    assert not file.is_held


def test_one_file_is_read_again(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "one", "two")
    file = read_next()
    assert actions(shown(alice_web, file), file) == set(), "the job is not finished"
    assert "Wait for the job" in post(alice_web, file, "requeue")[0]
    read_next()
    assert actions(shown(alice_web, file), file) == {"requeue"}
    assert post(alice_web, file, "requeue") == ["The file is in line to be read again."]
    assert state_of(file) == "queued"
    job.refresh_from_db()
    assert (job.state, job.succeeded) == ("queued", 1)


def test_only_who_may_change_the_job_is_offered_anything(
    acme: Organization, bob: User, client_for: ClientFor
) -> None:
    submit(acme, "one")
    file = BatchFile.objects.get()
    browser = client_for(bob)
    for verb in ("cancel", "pause", "resume", "requeue"):
        assert browser.post(f"/files/{file.pk}/{verb}").status_code == 403
    assert browser.get(f"/files/{file.pk}/pause").status_code == 403
    assert actions(shown(browser, file), file) == set()
    read_next()
    assert actions(shown(browser, file), file) == set()


# --- attempts -----------------------------------------------------------------------------------


@pytest.fixture
def failed(acme: Organization) -> BatchFile:
    """A file whose attempt ended with a traceback that quotes the documents' password."""
    job = submit(acme, "text")
    BatchJob.objects.filter(pk=job.pk).update(sealed_password=sealed(PASSWORD))
    file = claimed()
    trace = f"Traceback: ValueError: cannot open with {PASSWORD!r} <here> nor {PASSWORD} <there>"
    assert fail(BatchFileHandler, file, failure_of(FailureClass.PERMANENT, traceback=trace))
    return file


def test_attempts_tell_their_worker_and_where_it_runs(alice_web: Client, failed: BatchFile) -> None:
    short = str(SOMEBODY)[:8]
    page = shown(alice_web, failed)
    assert f'<code title="{SOMEBODY}">{short}</code>' in page
    assert "mill-7" not in page
    WorkerNode.objects.create(id=SOMEBODY, host="mill-7", pid=1, lanes=["default"], slots=1)
    assert f"{short} mill-7" in words(shown(alice_web, failed))


def test_a_traceback_is_folded_and_hides_the_password(alice_web: Client, failed: BatchFile) -> None:
    assert "sesame" in FileAttempt.objects.get().traceback, "the page hides it, whoever wrote it"
    page = shown(alice_web, failed)
    assert '<summary>Traceback<span class="visually-hidden"> of attempt 1</span></summary>' in page
    assert "cannot open with &#x27;***&#x27; &lt;here&gt; nor *** &lt;there&gt;" in page
    assert "sesame" not in page
    in_admin = superuser().get(page_of(FileAttempt.objects.get())).content.decode()
    assert "cannot open with &#x27;***&#x27; &lt;here&gt;" in in_admin
    assert "sesame" not in in_admin


def test_tracebacks_are_for_those_who_may_change_the_job(
    acme: Organization, bob: User, failed: BatchFile, client_for: ClientFor
) -> None:
    carol = create_user(email="carol@example.com", password=None)
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    for user in (bob, carol):
        page = shown(client_for(user), failed)
        assert "It failed." in page
        assert "Traceback" not in page
    BatchJob.objects.update(created_by=carol)
    assert "<summary>Traceback<" in shown(client_for(carol), failed)


def test_tracebacks_are_not_in_what_the_api_tells(failed: BatchFile, alice_api: APIClient) -> None:
    assert "Traceback" not in alice_api.get(f"/api/batch/files/{failed.pk}").content.decode()
