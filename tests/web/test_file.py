"""The page of one file: every state, attempts, another run, news, and whose it is."""

import html
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.models import BatchFile, FileAttempt
from apps.jobs.services import cancel_job
from apps.processors.protocol import Page
from apps.queue.retry import FailureClass, Usage
from apps.queue.states import State
from tests.batches import claimed, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, part
from tests.jobs.runs import fail_next, read_next
from tests.web.file_pages import document, only_file, read_pages, shown, words

pytestmark = pytest.mark.once

HTMX = {"HX-Request": "true"}


# --- states -------------------------------------------------------------------------------------


def test_a_file_that_was_read_shows_its_text_and_what_it_is(
    alice_web: Client, alice_api: APIClient
) -> None:
    job = accepted(alice_api, part(b"# x", "tides.txt"))
    usage = Usage(peak_rss_bytes=64 * 1024 * 1024, cpu_seconds=1.25)
    file = read_pages(Page(number=1, text="a  b\n\tc"), language="en", usage=usage)
    page = shown(alice_web, file)
    told = words(page)
    assert document(page) == "a  b\n\tc"
    assert "<title>(1) tides.txt: succeeded - Docmill</title>" in page
    for fact in ("TXT", "Words 3", "Language English", "Quality Complete", "Read by script 1"):
        assert fact in told, told
    assert "64.0\xa0MB" in page
    assert "1.2 s" in told or "1.3 s" in told
    assert f'<code id="sha256">{file.sha256}</code>' in page
    assert f'href="/jobs/{job["id"]}"' in page
    for what in ("text", "result", "content"):
        assert f'href="/api/batch/files/{file.pk}/{what}"' in page
    assert "Run again" not in told
    assert "hx-trigger" not in page
    assert "Page" not in told


def test_a_file_that_waits_says_so_and_asks_for_news(alice_web: Client, acme: Organization) -> None:
    file = only_file(submit(acme, "waits"))
    page = shown(alice_web, file)
    told = words(page)
    assert "It starts as soon as a worker is free." in told
    assert "Not started yet." in told
    assert "The text appears here once the file has been read." in told
    assert 'hx-trigger="beat from:body"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "Download text" not in told
    assert f'href="/api/batch/files/{file.pk}/content"' in page


def test_a_file_that_is_read_shows_how_far(alice_web: Client, acme: Organization) -> None:
    submit(acme, "runs")
    file = claimed()
    BatchFile.objects.filter(pk=file.pk).update(stage="page 3", progress=0.429)
    told = words(shown(alice_web, file))
    assert "Being read" in told
    assert "42 % Page 3 Started just now" in told


def test_a_file_that_shall_stop_says_so(alice_web: Client, acme: Organization, alice: User) -> None:
    job = submit(acme, "runs")
    file = claimed()
    cancel_job(actor=owner_of(acme), job=job)
    told = words(shown(alice_web, file))
    assert "Cancelling" in told
    assert "Stops in a moment" in told


def test_a_failed_file_says_why_what_is_next_and_what_to_do(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "fails")
    told = words(shown(alice_web, fail_next()))
    assert "Why it failed It failed. It is not tried again: the outcome would be the same." in told
    assert "What to do: Run it again; if that fails too, report it" in told
    assert "test.failed" in told
    assert "No text was read from this file." in told
    assert "will not pass" in told  # its attempt
    assert "Run again" in told


def test_what_was_read_before_it_failed_is_shown(alice_web: Client, acme: Organization) -> None:
    submit(acme, "long")
    fail_next(FailureClass.RESOURCE)
    file = fail_next(FailureClass.RESOURCE, partial="the beginning", lane="heavy")
    page = shown(alice_web, file)
    assert document(page) == "the beginning"
    assert "This was read before the file failed." in page
    assert "twice the time and memory" in words(page)
    assert "Download text" in page


def test_a_file_that_is_tried_again_says_when(alice_web: Client, acme: Organization) -> None:
    submit(acme, "again")
    file = fail_next(FailureClass.TRANSIENT)
    page = shown(alice_web, file)
    assert "Waits to be tried again" in page
    assert "It is tried again in less than a minute: retry 1 of 3." in words(page)
    assert 'data-kind="warning"' in page
    assert "Not finished" in page


def test_a_rejected_file_says_why_and_has_nothing_to_fetch(
    alice_web: Client, alice_api: APIClient
) -> None:
    job = accepted(alice_api, part(), part(b"", "empty.txt"))
    page = shown(alice_web, BatchFile.objects.get(job=job["id"], state="rejected"))
    told = words(page)
    assert "Why it was refused The file is empty." in told
    assert "What to do: Send a copy that has content." in told
    assert "/api/batch/files" not in page
    assert "Run again" not in told


def test_a_cancelled_file_says_so(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "stops")
    cancel_job(actor=owner_of(acme), job=job)
    told = words(shown(alice_web, only_file(job)))
    assert "It was cancelled before it was read to the end." in told
    assert "Run again" in told


def test_a_partial_reading_is_explained(alice_web: Client, acme: Organization) -> None:
    submit(acme, "holes")
    file = read_pages(Page(number=1, text="a"), quality="partial", warnings=("One is gone.",))
    told = words(shown(alice_web, file))
    assert "Only a part was read One is gone." in told
    assert "Quality Partial: some of it could not be read" in told


# --- attempts -----------------------------------------------------------------------------------


def test_attempts_are_told_the_latest_first(alice_web: Client, acme: Organization) -> None:
    submit(acme, "again")
    fail_next(FailureClass.CRASH)
    file = read_next()
    told = words(shown(alice_web, file)).partition("Attempts")[2]
    assert told.index("Succeeded") < told.index("Not finished")
    assert "crashed It failed. test.failed" in told


def test_a_running_attempt_is_told_as_running(alice_web: Client, acme: Organization) -> None:
    submit(acme, "runs")
    file = claimed()
    told = words(shown(alice_web, file)).partition("Attempts")[2]
    assert "1 Running 00000000 just now" in told


def test_attempts_are_bounded_and_cost_no_more_queries(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "much")
    file = fail_next(FailureClass.INTERRUPTED)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            shown(alice_web, file)
        return len(seen)

    with_one = queries()
    for _ in range(29):
        fail_next(FailureClass.INTERRUPTED)
    assert queries() == with_one <= 11
    assert "The latest" not in shown(alice_web, file)
    for _ in range(25):
        fail_next(FailureClass.INTERRUPTED)
    assert FileAttempt.objects.count() == 55
    page = shown(alice_web, file)
    assert "The latest 50 of 55" in page
    assert page.count('data-label="Attempt"') == 50


# --- neighbours ---------------------------------------------------------------------------------


def test_it_leads_to_the_files_before_and_after(alice_web: Client, acme: Organization) -> None:
    first, second, third = submit(acme, "a", "b", "c").files.order_by("position")
    page = shown(alice_web, second)
    assert "1.txt and 2 more / File 2 of 3" in words(page)
    assert re.search(rf'rel="prev" href="/files/{first.pk}"', page)
    assert re.search(rf'rel="next" href="/files/{third.pk}"', page)
    assert 'rel="prev"' not in shown(alice_web, first)
    assert 'rel="next"' not in shown(alice_web, third)
    alone = only_file(submit(acme, "alone"))
    assert "Files of this job" not in shown(alice_web, alone)


# --- another run --------------------------------------------------------------------------------


def test_running_again_puts_the_file_in_line_and_shows_it(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "again")
    file = fail_next(partial="the first run's")
    answer = alice_web.post(f"/files/{file.pk}/retry", follow=True)
    assert answer.redirect_chain == [(f"/files/{file.pk}", 302)]
    page = answer.content.decode()
    assert "The file is in line again." in page
    assert "This is from an earlier run." in page
    assert document(page) == "the first run's"
    file.refresh_from_db()
    assert (file.state, file.run) == (State.QUEUED, 2)
    read_next()
    page = shown(alice_web, file)
    assert document(page) == "what was read"
    assert "run 2" in page


def test_while_the_job_goes_on_the_page_says_why_it_cannot_be_run_again(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "fails", "waits")
    file = fail_next()
    page = shown(alice_web, file)
    assert "It can be run again once its job has finished." in page
    assert "Run again" not in page
    answer = alice_web.post(f"/files/{file.pk}/retry", follow=True)
    assert "Wait for the job to finish, or cancel it first." in words(answer.content.decode())


def test_a_file_that_succeeded_is_not_run_again(alice_web: Client, acme: Organization) -> None:
    submit(acme, "done")
    file = read_next()
    answer = alice_web.post(f"/files/{file.pk}/retry", follow=True)
    told = words(answer.content.decode())
    assert "The file is succeeded: only failed and cancelled ones can be run again." in told


def quarantine_next() -> BatchFile:
    fail_next(FailureClass.CRASH)
    return fail_next(FailureClass.CRASH)


def test_a_quarantined_file_is_for_those_who_may_change_every_job(
    alice_web: Client, acme: Organization, client_for: ClientFor, api_for: Any
) -> None:
    carol = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    accepted(api_for(carol), part(b"poison"))
    file = quarantine_next()
    web = client_for(carol)
    page = shown(web, file)
    assert "Why it is quarantined" in page
    assert "an owner or admin of the organization can run it again" in page
    assert "Run again" not in page
    answer = web.post(f"/files/{file.pk}/retry", follow=True)
    assert "The file is quarantined:" in words(answer.content.decode())
    assert "Run again" in shown(alice_web, file)
    assert alice_web.post(f"/files/{file.pk}/retry").status_code == 302
    file.refresh_from_db()
    assert file.state == State.QUEUED


def test_a_reader_reads(acme: Organization, bob: User, client_for: ClientFor) -> None:
    submit(acme, "fails")
    file = fail_next(partial="some")
    web = client_for(bob)
    page = shown(web, file)
    assert document(page) == "some"
    assert "Run again" not in page
    assert web.post(f"/files/{file.pk}/retry").status_code == 403
    file.refresh_from_db()
    assert file.state == State.FAILED


# --- news ---------------------------------------------------------------------------------------


def poll_url(page: str) -> str:
    found = re.search(r'hx-get="([^"]+)"', page)
    assert found, "the page does not ask for news"
    return html.unescape(found[1])


def test_news_come_once_and_then_nothing_until_something_moves(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "moves")
    file = BatchFile.objects.get()
    url = poll_url(shown(alice_web, file))
    quiet = alice_web.get(url, headers=HTMX)
    assert (quiet.status_code, quiet.content) == (204, b"")
    claimed()
    news = alice_web.get(url, headers=HTMX).content.decode()
    assert "Being read" in news
    assert told(news) == "Running"
    assert "<html" not in news
    assert 'id="file-state" hx-swap-oob="true"' in news
    assert re.search(r'id="attempts"[^>]* hx-swap-oob="true"', news)
    BatchFile.objects.update(stage="page 2 & more", progress=0.5)
    url = poll_url(news)
    news = alice_web.get(url, headers=HTMX).content.decode()
    assert "Page 2 &amp; more" in news
    assert "file-told" not in news
    assert alice_web.get(poll_url(news), headers=HTMX).status_code == 204


def test_at_the_end_all_of_the_page_is_swapped_and_the_outcome_read_out(
    alice_web: Client, acme: Organization
) -> None:
    submit(acme, "ends")
    page = shown(alice_web, BatchFile.objects.get())
    url = poll_url(page)
    assert told(page) == ""
    read_next()
    answer = alice_web.get(url, headers=HTMX)
    page = answer.content.decode()
    assert (answer.status_code, told(page), document(page)) == (200, "Succeeded", "what was read")
    assert answer["HX-Retarget"] == answer["HX-Reselect"] == "#file-page"
    assert answer["HX-Reswap"] == "outerHTML"
    assert page.index('id="file-told"') < page.index('id="file-page"')
    assert "hx-trigger" not in page


def told(page: str) -> str:
    """What is read out, put where it is listened to."""
    found = re.search(r'id="file-told" role="status"( hx-swap-oob="innerHTML")?>(\w*)<', page)
    assert found, page
    assert bool(found[1]) == bool(found[2])
    return found[2]


def test_news_are_for_members(acme: Organization, alice_web: Client, charlie: User) -> None:
    file = only_file(submit(acme, "private"))
    url = f"/files/{file.pk}/live"
    assert Client().get(url, headers=HTMX).status_code == 401
    alice_web.force_login(charlie)
    assert alice_web.get(url, headers=HTMX).status_code == 404


# --- whose it is --------------------------------------------------------------------------------


def test_other_organizations_have_no_such_file(
    acme: Organization, charlie: User, client_for: ClientFor
) -> None:
    submit(acme, "private words")
    file = fail_next(partial="private words")
    web = client_for(charlie)
    for answer in (
        web.get(f"/files/{file.pk}"),
        web.get(f"/files/{file.pk}?page=1"),
        web.get(f"/files/{file.pk}/live"),
        web.post(f"/files/{file.pk}/retry"),
    ):
        assert answer.status_code == 404
        assert b"private" not in answer.content
        assert file.name.encode() not in answer.content
    file.refresh_from_db()
    assert file.state == State.FAILED


def test_who_is_not_signed_in_is_led_to_the_sign_in(acme: Organization) -> None:
    file = only_file(submit(acme, "private"))
    answer = Client().get(f"/files/{file.pk}?page=2")
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in?next=/files/{file.pk}%3Fpage%3D2"


@pytest.mark.parametrize(("method", "path"), [("post", ""), ("post", "/live"), ("get", "/retry")])
def test_other_methods_do_not_fit(
    alice_web: Client, acme: Organization, method: str, path: str
) -> None:
    file = only_file(submit(acme, "a"))
    assert getattr(alice_web, method)(f"/files/{file.pk}{path}").status_code == 405
