"""What the page of a job offers to download, and how it shows what is being built."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import Membership, Organization, User
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchJob, Export
from apps.queue.models import WorkItem
from apps.queue.states import State
from tests.batches import submit
from tests.conftest import ClientFor
from tests.jobs.ageing import read
from tests.jobs.exporting import build_next
from tests.jobs.runs import read_next
from tests.web.job_pages import html_of, shown, text_of, url

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def browser(alice: User, acme: Organization, client_for: ClientFor) -> Client:
    client = client_for(alice)
    client.post("/organization", {"organization": str(acme.pk)})
    return client


@pytest.fixture
def job(acme: Organization) -> BatchJob:
    return read(acme, "one", "two")


def ask(browser: Client, job: BatchJob, made: str = "zip", follow: bool = True) -> str:
    answer = browser.post(url(job, "exports"), {"format": made}, follow=follow)
    return html_of(answer)


def poll_url(html: str) -> str:
    found = re.search(r'hx-get="([^"]+)"', html)
    return found[1].replace("&amp;", "&") if found else ""


def test_every_format_is_offered_with_size_and_time(browser: Client, job: BatchJob) -> None:
    html = shown(browser, job)
    for made in FORMATS:
        assert f'href="/api/batch/jobs/{job.pk}/results.{made}" download' in html
    told = text_of(html)
    assert re.search(r"\d+ bytes of results, kept until \d+ \w+ \d{4}\.", told.replace("\xa0", " "))
    assert "ZIP so far" not in told
    assert "background" not in told
    assert "Exports" not in told


def test_while_it_runs_the_downloads_are_so_far(browser: Client, acme: Organization) -> None:
    job = submit(acme, "one", "two")
    read_next()
    told = text_of(shown(browser, job))
    assert "So far: the job still runs, and each download lists what is missing." in told
    assert "Excel so far" in told


def test_what_is_large_is_offered_to_be_built(
    browser: Client, job: BatchJob, settings: Settings
) -> None:
    settings.EXPORT_DIRECT_BYTES = 10
    html = shown(browser, job)
    assert f'href="/api/batch/jobs/{job.pk}/results.xlsx"' not in html
    assert f'href="/api/batch/jobs/{job.pk}/results.csv" download' in html
    assert html.count(f'action="{url(job, "exports")}"') == len(FORMATS)
    assert "Excel : build it in the background" in text_of(html)


def test_what_is_built_is_shown_with_its_progress_and_then_its_link(
    browser: Client, job: BatchJob
) -> None:
    told = text_of(ask(browser, job))
    assert "ZIP is being built. You can leave this page." in told
    assert "ZIP Waits to be built" in told
    html = shown(browser, job)
    assert 'http-equiv="refresh"' in html
    live = poll_url(html)
    assert browser.get(live).status_code == 204
    WorkItem.objects.update(state=State.RUNNING, progress=0.5)
    news = browser.get(live)
    assert news.status_code == 200
    assert 'value="50"' in news.content.decode()
    assert "ZIP Is being built: 50 %" in text_of(news.content.decode())
    WorkItem.objects.update(state=State.QUEUED, progress=0)
    build_next()
    html = html_of(browser.get(live))
    export = Export.objects.get()
    assert f'href="/api/batch/exports/{export.pk}/content" download' in html
    assert "Can be fetched until" in text_of(html)
    assert "ZIP export: ready." in html
    assert poll_url(html) == ""
    assert 'http-equiv="refresh"' not in shown(browser, job)
    assert "is there already" in text_of(ask(browser, job))


def test_one_that_failed_says_why_and_can_be_tried_again(browser: Client, job: BatchJob) -> None:
    ask(browser, job, "csv")
    WorkItem.objects.update(state=State.FAILED, error_code="queue.error", error_detail="Broken.")
    html = shown(browser, job)
    assert "CSV Failed Broken." in text_of(html)
    assert "Try again" in html
    ask(browser, job, "csv")
    assert Export.objects.count() == 2


def test_one_that_is_older_than_the_results_says_so(
    browser: Client, job: BatchJob, acme: Organization
) -> None:
    ask(browser, job)
    build_next()
    assert "have changed since" not in text_of(shown(browser, job))
    BatchJob.objects.update(is_kept=True)
    assert "The results have changed since." in text_of(shown(browser, job))
    Export.objects.update(is_complete=False)
    assert "the job still ran when it was built" in text_of(shown(browser, job))


def test_one_past_its_time_is_not_shown(browser: Client, job: BatchJob) -> None:
    ask(browser, job)
    Export.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert 'id="exports"' not in shown(browser, job)


def test_one_is_deleted_from_the_page(browser: Client, job: BatchJob) -> None:
    ask(browser, job)
    export = Export.objects.get()
    answer = browser.post(url(job, f"exports/{export.pk}/delete"), follow=True)
    assert "The export is deleted. The results stay." in text_of(html_of(answer))
    assert not Export.objects.exists()
    assert WorkItem.objects.get().state == State.CANCELLED


def test_a_reader_may_fetch_and_build_nothing(
    browser: Client, job: BatchJob, acme: Organization, alice: User, settings: Settings
) -> None:
    settings.EXPORT_DIRECT_BYTES = 10
    ask(browser, job)
    export = Export.objects.get()
    Membership.objects.filter(user=alice, organization=acme).update(role="reader")
    html = shown(browser, job)
    assert url(job, "exports") not in html
    assert "has to be built, which your role does not allow" in text_of(html)
    assert browser.post(url(job, "exports"), {"format": "csv"}).status_code == 403
    assert browser.post(url(job, f"exports/{export.pk}/delete")).status_code == 403
    assert Export.objects.count() == 1


def test_elsewhere_there_is_nothing_to_build(
    browser: Client, job: BatchJob, charlie: User, client_for: ClientFor
) -> None:
    ask(browser, job)
    export = Export.objects.get()
    stranger = client_for(charlie)
    assert stranger.post(url(job, "exports"), {"format": "zip"}).status_code == 404
    assert stranger.post(url(job, f"exports/{export.pk}/delete")).status_code == 404
    assert browser.post(url(job, "exports"), {"format": "exe"}).status_code == 404
    assert Export.objects.count() == 1
