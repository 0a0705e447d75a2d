"""The list of exports: how far each is, what is fetched, deleted, tried again, what it costs."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Membership, Organization, User
from apps.jobs.models import BatchJob, Export
from apps.queue.models import WorkItem
from apps.queue.states import State
from tests.conftest import ClientFor
from tests.jobs.ageing import read
from tests.jobs.exporting import build_next
from tests.web.job_pages import html_of, text_of

pytestmark = pytest.mark.once

LIST = {"HX-Request": "true", "HX-Target": "list"}


@pytest.fixture
def jobs(acme: Organization) -> list[BatchJob]:
    return [read(acme, "one"), read(acme, "two", "three")]


def ask(browser: Client, *jobs: BatchJob, made: str = "zip") -> Export:
    browser.post("/exports", {"format": made, "jobs": [str(job.pk) for job in jobs]})
    newest: Export = Export.objects.order_by("-created_at", "-pk")[0]
    return newest


def page(browser: Client) -> str:
    return html_of(browser.get("/exports"))


def poll_url(html: str) -> str:
    found = re.search(r'hx-get="([^"]+)"', html)
    return found[1].replace("&amp;", "&") if found else ""


def test_nobody_has_exported_anything(alice_web: Client, bob: User, client_for: ClientFor) -> None:
    assert "Select jobs in the list and choose Export" in page(alice_web)
    assert "have built is here to be fetched" in page(client_for(bob))
    assert '<p class="visually-hidden" role="status" id="export-news"></p>' in page(alice_web)


def test_progress_then_the_download(alice_web: Client, jobs: list[BatchJob]) -> None:
    export = ask(alice_web, *jobs)
    html = page(alice_web)
    assert 'http-equiv="refresh"' in html
    assert "1.txt and 1 more job ZIP. Waits to be built" in text_of(html)
    assert "1 export being built." in html
    live = poll_url(html)
    assert alice_web.get(live, headers=LIST).status_code == 204
    WorkItem.objects.update(state=State.RUNNING, progress=0.5)
    news = alice_web.get(live, headers=LIST)
    assert news.content.strip().startswith(b'<div id="list"')
    assert "Is being built: 50 %" in text_of(html_of(news))
    WorkItem.objects.update(state=State.QUEUED, progress=0)
    build_next()
    html = html_of(alice_web.get(live, headers=LIST))
    assert f'href="/api/batch/exports/{export.pk}/content" download' in html
    assert "Can be fetched until" in html
    assert "Nothing is being built." in html
    assert poll_url(html) == ""
    assert 'http-equiv="refresh"' not in page(alice_web)


def test_one_job_is_called_by_its_name(alice_web: Client, jobs: list[BatchJob]) -> None:
    ask(alice_web, jobs[1])
    html = page(alice_web)
    assert f'<a class="title" href="/jobs/{jobs[1].pk}"><bdi>1.txt and 1 more</bdi></a>' in html


def test_what_failed_says_why_and_is_tried_again(alice_web: Client, jobs: list[BatchJob]) -> None:
    first = ask(alice_web, *jobs, made="csv")
    WorkItem.objects.update(state=State.FAILED, error_code="queue.error", error_detail="Broken.")
    text = text_of(page(alice_web))
    assert "1.txt and 1 more job CSV. Failed Broken." in text
    assert "Try again" in text
    answer = alice_web.post(f"/exports/{first.pk}/again")
    assert answer["Location"] == "/exports"
    second = Export.objects.exclude(pk=first.pk).get()
    assert (second.format, set(second.jobs.all())) == ("csv", set(jobs))


def test_delete_and_stop(alice_web: Client, jobs: list[BatchJob]) -> None:
    built = ask(alice_web, jobs[0])
    build_next()
    waiting = ask(alice_web, jobs[1])
    text = text_of(page(alice_web))
    assert "Delete" in text
    assert "Stop" in text
    for export in (built, waiting):
        answer = alice_web.post(f"/exports/{export.pk}/delete", follow=True)
        assert "The export is deleted. The results stay." in html_of(answer)
        assert alice_web.post(f"/exports/{export.pk}/delete").status_code == 404
    assert not Export.objects.exists()
    assert BatchJob.objects.count() == 2


def test_what_is_past_its_time_is_not_listed(alice_web: Client, jobs: list[BatchJob]) -> None:
    ask(alice_web, *jobs)
    Export.objects.update(expires_at=Now() - timedelta(minutes=1))
    assert "No exports" in page(alice_web)


def test_readers_fetch_and_change_nothing(
    alice_web: Client, bob: User, client_for: ClientFor, jobs: list[BatchJob]
) -> None:
    export = ask(alice_web, *jobs)
    build_next()
    browser = client_for(bob)
    html = page(browser)
    assert f'href="/api/batch/exports/{export.pk}/content"' in html
    assert 'action="/exports' not in html
    assert browser.post(f"/exports/{export.pk}/again").status_code == 403
    assert browser.post(f"/exports/{export.pk}/delete").status_code == 403
    assert Export.objects.get() == export


def test_contributors_delete_only_their_own(
    alice_web: Client, bob: User, client_for: ClientFor, jobs: list[BatchJob]
) -> None:
    export = ask(alice_web, *jobs)
    Membership.objects.filter(user=bob).update(role="contributor")
    browser = client_for(bob)
    assert "/delete" not in page(browser)
    assert browser.post(f"/exports/{export.pk}/delete").status_code == 403
    Export.objects.update(created_by=bob)
    assert f'action="/exports/{export.pk}/delete"' in page(browser)
    assert browser.post(f"/exports/{export.pk}/delete").status_code == 302


def test_pages_and_what_they_cost(alice_web: Client, acme: Organization, alice: User) -> None:
    job = read(acme, "one")

    def more(count: int) -> None:
        for _ in range(count):
            made = Export.objects.create(
                organization=acme,
                created_by=alice,
                format="zip",
                name="x.zip",
                expires_at=Now() + timedelta(days=1),
            )
            made.jobs.add(job)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page(alice_web)
        return len(seen)

    more(2)
    few = queries()
    more(31)
    assert queries() == few
    html = page(alice_web)
    assert html.count('<li id="export-') == 30
    found = re.search(r'id="older" rel="next" href="([^"]+)"', html)
    assert found
    older = html_of(alice_web.get(found[1].replace("&amp;", "&")))
    assert older.count('<li id="export-') == 3
    assert 'id="newest" href="/exports"' in older
    Export.objects.all().delete()
    gone = html_of(alice_web.get(found[1].replace("&amp;", "&")))
    assert "No exports on this page any more" in gone
    assert alice_web.get("/exports?cursor=nonsense")["Location"] == "/exports"
