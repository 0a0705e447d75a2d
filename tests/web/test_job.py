"""The page of one job: what it tells in every state, and its news."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.core.errors import NotFound
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.naming import job_title
from apps.jobs.services import cancel_job, delete_job
from apps.queue.models import WorkerNode
from apps.queue.retry import FailureClass
from apps.queue.settle import fail
from apps.web.job_page import JobPage
from tests.batches import SOMEBODY, claimed, failure_of, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, field, part
from tests.jobs.runs import fail_next, read_next
from tests.web.job_pages import html_of, shown, state_of, text_of, url

pytestmark = pytest.mark.once

HTMX = {"HX-Request": "true"}


@pytest.fixture
def browser(alice: User, client_for: ClientFor) -> Client:
    """Alice's."""
    return client_for(alice)


def poll_url(html: str) -> str:
    """Where the page asks for news; empty when it has stopped asking."""
    found = re.search(r'hx-get="([^"]+)"', html)
    return found.group(1).replace("&amp;", "&") if found else ""


def ask(browser: Client, address: str) -> HttpResponse:
    answer: HttpResponse = browser.get(address, headers=HTMX)
    return answer


# --- what it tells ------------------------------------------------------------------------------


def test_a_job_that_waits(browser: Client, acme: Organization) -> None:
    submit(acme, "earlier", "earlier still")
    WorkerNode.objects.create(id=SOMEBODY, host="here", pid=1, lanes=["default"], slots=1)
    job = submit(acme, "text", "more")
    html = shown(browser, job)
    told = text_of(html)
    assert "<title>(0 %) 1.txt and 1 more - Docmill</title>" in html
    assert 'http-equiv="refresh" content="5"' in html
    assert "0 of 2 done" in told
    assert "2 queued" in told
    assert "2 files before it" in told
    assert "by Alice" in told
    assert "results kept until" in told
    assert "No worker is running" not in told
    assert "Cancel this job?" in told
    assert "ZIP" not in told
    assert "Retry" not in told
    assert "<h1><bdi>1.txt and 1 more</bdi></h1>" in html
    assert 'aria-label="Progress of 1.txt and 1 more"' in html


def test_a_job_that_is_next_in_line_while_nobody_works(browser: Client, acme: Organization) -> None:
    html = shown(browser, submit(acme, "text"))
    told = text_of(html)
    assert "next in line" in told
    assert re.search(r'<p class="notice"[^>]* role="status" id="stuck">', html)
    assert "No worker is running. The files are safe and start as soon as one does." in told


def test_a_job_has_no_place_in_line_while_batches_are_off(
    browser: Client, acme: Organization, settings: Any
) -> None:
    job = submit(acme, "text")
    settings.ENABLE_BATCH = False
    told = text_of(shown(browser, job))
    assert "next in line" not in told
    assert "switched batches off" in told


def test_a_job_whose_files_all_wait_elsewhere_says_nothing_of_a_place(
    browser: Client, acme: Organization
) -> None:
    job = submit(acme, "text")
    BatchFile.objects.update(is_held=True)
    told = text_of(shown(browser, job))
    assert "in line" not in told
    assert "before it" not in told


def test_a_job_that_runs(browser: Client, acme: Organization) -> None:
    job = submit(acme, *["text"] * 4)
    read_next()
    file = claimed()
    BatchFile.objects.filter(pk=file.pk).update(stage="page 3 of 6", progress=0.5)
    BatchJob.objects.update(started_at=timezone.now() - timedelta(seconds=30))
    html = shown(browser, job)
    told = text_of(html)
    assert "1 of 4 done" in told
    assert "2 queued, 1 running, 1 succeeded" in told
    assert "page 3 of 6, 50 %" in told
    assert "<title>(37 %) " in html
    assert re.search("about 5. s left", told), "50, and a little for the test itself"
    assert '<p class="visually-hidden" role="status" id="news">25 % done.</p>' in html
    assert "No worker is running" not in told
    assert "ZIP so far" in told


def test_a_file_that_waits_to_be_tried_again(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    fail_next(FailureClass.TRANSIENT)
    BatchFile.objects.update(available_at=timezone.now() + timedelta(seconds=125.5))
    told = text_of(shown(browser, job))
    assert "It failed. Next try in 2 min 5 s." in told
    assert "Waiting to retry" in told
    assert "No worker is running" in told
    BatchFile.objects.update(available_at=timezone.now())
    assert "Next try as soon as it can." in text_of(shown(browser, job))


def test_a_job_that_succeeded(browser: Client, alice_api: APIClient) -> None:
    made = accepted(alice_api, part(), field("name", "May & June"), field("priority", "high"))
    job = BatchJob.objects.get(pk=made["id"])
    read_next("one two three")
    html = shown(browser, job)
    told = text_of(html)
    assert "<title>(1) May &amp; June - Docmill</title>" in html
    assert "high priority" in told
    assert "1 of 1 done 1 succeeded took under 1 s" in told
    assert 'id="news">Job finished: 1 succeeded.</p>' in html
    assert f'href="/api/batch/jobs/{job.pk}/results.zip" download' in html
    assert f'href="/api/batch/jobs/{job.pk}/results.ndjson" download' in html
    assert re.search(r'data-label="Words">3<', html)
    assert poll_url(html) == ""
    assert 'http-equiv="refresh"' not in html
    assert "Delete this job?" in told
    assert "Retry" not in told
    assert "Cancel this job?" not in told


def test_a_job_that_failed_in_part(browser: Client, alice_api: APIClient) -> None:
    job = BatchJob.objects.get(
        pk=accepted(alice_api, part(), part(name="b.txt"), part(b"", "empty.txt"))["id"]
    )
    read_next()
    fail_next(partial="a page of it")
    told = text_of(shown(browser, job))
    assert "Partly failed" in told
    assert "3 of 3 done 1 succeeded, 1 failed, 1 rejected" in told
    assert "It failed. Only a part of it was read." not in told  # the script's are whole
    assert "It failed." in told
    assert BatchFile.objects.get(job=job, name="empty.txt").error_detail in told
    assert "Retry 1 file " in told


def test_a_result_that_is_only_a_part_is_told(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    file = fail_next(partial="a page of it")
    file.refresh_from_db()
    file.result.quality = "partial"
    file.result.save()
    assert "Only a part of it was read." in text_of(shown(browser, job))


def test_a_job_that_failed_and_one_in_quarantine(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    fail_next()
    fail_next(FailureClass.CRASH)
    fail_next(FailureClass.CRASH)
    assert state_of(job) == "failed"
    told = text_of(shown(browser, job))
    assert "1 failed, 1 quarantined" in told
    assert "Retry 2 files" in told
    assert "ZIP" not in told


def test_a_job_that_is_being_cancelled_and_then_is(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    file = claimed()
    cancel_job(actor=owner_of(acme), job=job)
    html = shown(browser, job)
    told = text_of(html)
    assert told.count("Cancelling") == 2  # the job, and its running file
    assert 'id="news">The job is being cancelled.</p>' in html
    assert "Cancel this job?" not in told
    assert "left" not in told
    assert fail(BatchFileHandler, file, failure_of(FailureClass.INTERRUPTED))
    told = text_of(shown(browser, job))
    assert "Job finished: 2 cancelled." in told
    assert "Retry 2 files" in told


def test_a_job_that_never_started_took_no_time(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    cancel_job(actor=owner_of(acme), job=job)
    assert "took" not in text_of(shown(browser, job))


def test_a_job_whose_creator_is_gone(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    BatchJob.objects.update(created_by=None)
    assert " by " not in text_of(shown(browser, job))


def test_the_table_of_files_is_one_on_a_phone_too(browser: Client, acme: Organization) -> None:
    """There its parts are drawn as blocks, and would be a table no more."""
    html = shown(browser, submit(acme, "text"))
    assert '<table role="table"' in html
    assert html.count(' role="columnheader"') == html.count(' role="cell"') == 8
    assert re.findall(r"<(?:td|th|tr|thead|tbody|table)(?! role=)[ >]", html) == []


def test_names_are_text_never_markup(browser: Client, alice_api: APIClient) -> None:
    bad = "<b onclick=x>&'.txt"
    names = [bad, *(f"{number}-{'n' * 290}.txt" for number in range(49))]
    made = accepted(alice_api, *(part(name=name) for name in names))
    html = shown(browser, BatchJob.objects.get(pk=made["id"]))
    assert "<b onclick" not in html
    assert escape(f"{bad} and 49 more") in html
    assert html.count('class="title"') == 50
    assert all(name in html for name in names[1:])


def test_what_a_job_is_called() -> None:
    assert job_title("May", "a.pdf", 3) == "May"
    assert job_title("", "a.pdf", 1) == "a.pdf"
    assert job_title("", "a.pdf", 12) == "a.pdf and 11 more"


# --- files by state -----------------------------------------------------------------------------


def test_many_files_can_be_seen_by_state(browser: Client, acme: Organization) -> None:
    job = submit(acme, *["text"] * 11)
    assert 'class="chips"' not in shown(browser, job)  # all in one state
    fail_next()
    html = shown(browser, job, "?state=failed")
    assert html.count('class="title"') == 1
    assert f'href="{url(job)}?state=failed" aria-current="true"' in html
    assert "All 11 Queued 10 Failed 1" in text_of(html)
    assert parse_qs(urlsplit(poll_url(html)).query)["state"] == ["failed"]
    assert shown(browser, job, "?state=explode").count('class="title"') == 11


def test_few_files_need_no_filter(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    fail_next()
    assert 'class="chips"' not in shown(browser, job)


def test_a_state_that_no_file_is_in_any_more(browser: Client, acme: Organization) -> None:
    told = text_of(shown(browser, submit(acme, "text"), "?state=running"))
    assert "No file is in this state now. Show all files" in told
    assert "All 1 Queued 1 Running 0" in told


# --- news ---------------------------------------------------------------------------------------


def test_news_come_once_and_stop_at_the_end(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    address = poll_url(shown(browser, job))
    assert ask(browser, address).status_code == 204
    read_next()
    answer = ask(browser, address)
    html = html_of(answer)
    assert "<html" not in html
    assert html.startswith("<title>(50 %) 1.txt and 1 more - Docmill</title>")
    assert "1 of 2 done" in text_of(html)
    newer = poll_url(html)
    assert newer != address
    assert 'hx-trigger="beat from:body"' in html
    assert ask(browser, newer).status_code == 204
    read_next()
    end = html_of(ask(browser, newer))
    assert "hx-" not in end
    assert "Job finished: 2 succeeded." in end
    assert end.startswith("<title>1.txt and 1 more - Docmill</title>")


def test_news_keep_the_filter(browser: Client, acme: Organization) -> None:
    job = submit(acme, *["text"] * 11)
    fail_next()
    address = poll_url(shown(browser, job, "?state=failed"))
    fail_next()
    html = html_of(ask(browser, address))
    assert html.count('class="title"') == 2
    assert "state=failed" in poll_url(html)


def test_nothing_older_than_what_is_shown_is_sent(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    live = url(job, "live")
    assert ask(browser, f"{live}?revision=0").status_code == 200
    for revision in (job.revision, job.revision + 1, "9" * 400):
        assert ask(browser, f"{live}?revision={revision}").status_code == 204
    for nonsense in ("", "?revision=", "?revision=x", "?revision=" + "9" * 5000):
        assert ask(browser, live + nonsense).status_code == 200


def test_an_open_job_is_drawn_again_now_and_then(browser: Client, acme: Organization) -> None:
    """Its place in line and the workers change without it."""
    job = submit(acme, "text")
    known = f"{url(job, 'live')}?revision={job.revision}"
    now = int(timezone.now().timestamp())
    assert ask(browser, f"{known}&at={now}").status_code == 204
    for drawn_at in (now - 11, now + 3600):
        assert ask(browser, f"{known}&at={drawn_at}").status_code == 200
    read_next()
    job.refresh_from_db()
    closed = f"{url(job, 'live')}?revision={job.revision}&at={now - 11}"
    assert ask(browser, closed).status_code == 204


def test_news_for_nobody(client: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    assert ask(client, url(job, "live")).status_code == 401
    answer = client.get(url(job))
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in?next=/jobs/{job.pk}"


def test_news_of_a_job_that_is_gone(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    address = poll_url(shown(browser, job))
    read_next()
    delete_job(actor=owner_of(acme), job=BatchJob.objects.get(pk=job.pk))
    assert ask(browser, address).status_code == 404


def test_a_job_that_goes_while_it_is_read(acme: Organization) -> None:
    job = submit(acme, "text")
    read_next()
    found = BatchJob.objects.get(pk=job.pk)
    delete_job(actor=owner_of(acme), job=job)
    with pytest.raises(NotFound):
        JobPage(found, owner_of(acme))


def queries_of(ask_for: Callable[[], Any], status: int) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert ask_for().status_code == status
    return len([q for q in seen if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))])


def test_the_number_of_queries_does_not_grow(browser: Client, acme: Organization) -> None:
    one = submit(acme, "text")
    many = submit(acme, *[f"text {number}" for number in range(50)])
    assert queries_of(lambda: browser.get(url(one)), 200) == queries_of(
        lambda: browser.get(url(many)), 200
    )
    for _ in range(20):
        read_next()
        fail_next()
    claimed()
    assert state_of(one) == "succeeded"
    assert queries_of(lambda: browser.get(url(many)), 200) <= 10
    address = poll_url(shown(browser, many))
    assert queries_of(lambda: ask(browser, address), 204) == 4  # session, user, membership, job
