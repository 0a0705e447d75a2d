"""What can be done on the page of one job, and by whom: cancel, retry, delete."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchJob
from apps.jobs.services import retry_job
from apps.queue.models import Priority
from apps.queue.retry import FailureClass
from apps.queue.settle import succeed
from tests.batches import Scripted, claimed, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.runs import fail_next, read_next
from tests.web.job_pages import html_of, shown, state_of, text_of, url

pytestmark = pytest.mark.once


@pytest.fixture
def browser(alice: User, client_for: ClientFor) -> Client:
    """Alice's."""
    return client_for(alice)


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_cancel_asks_first(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    file = claimed()
    html = html_of(browser.get(url(job, "cancel")))
    assert "<h1>Cancel this job?</h1>" in html
    assert "It has 2 files." in html
    assert state_of(job) == "running"
    answer = browser.post(url(job, "cancel"), follow=True)
    assert answer.redirect_chain == [(url(job), 302)]
    assert messages_of(answer) == ["Cancelling: what runs stops within seconds."]
    assert state_of(job) == "cancelling"
    assert succeed(BatchFileHandler, file, Scripted().read("late"))
    assert state_of(job) == "cancelled"


def test_a_job_that_waits_is_cancelled_at_once(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    assert "It has 1 file." in html_of(browser.get(url(job, "cancel")))
    answer = browser.post(url(job, "cancel"), follow=True)
    assert messages_of(answer) == ["The job is cancelled."]
    assert state_of(job) == "cancelled"


def test_cancelling_what_finished_meanwhile(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    read_next()
    for answer in (
        browser.get(url(job, "cancel"), follow=True),
        browser.post(url(job, "cancel"), follow=True),
    ):
        assert answer.redirect_chain == [(url(job), 302)]
        assert "nothing left to cancel" in messages_of(answer)[0]
    assert state_of(job) == "succeeded"


def test_retry(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    read_next()
    fail_next()
    answer = browser.post(url(job, "retry"), follow=True)
    assert answer.redirect_chain == [(url(job), 302)]
    assert messages_of(answer) == ["What failed or was cancelled runs again."]
    focused = '<div role="status" tabindex="-1" autofocus><ul class="messages">'
    assert focused in answer.content.decode()
    assert focused not in shown(browser, job)
    assert state_of(job) == "queued"
    assert sorted(job.files.values_list("state", flat=True)) == ["queued", "succeeded"]


def test_retrying_what_runs_or_did_not_fail(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    answer = browser.post(url(job, "retry"), follow=True)
    assert messages_of(answer) == ["Wait for the job to finish, or cancel it first."]
    read_next()
    answer = browser.post(url(job, "retry"), follow=True)
    assert messages_of(answer) == ["No file of this job failed or was cancelled."]
    assert state_of(job) == "succeeded"
    assert browser.get(url(job, "retry")).status_code == 405


def test_delete_asks_first(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text", "more")
    read_next()
    fail_next()
    html = html_of(browser.get(url(job, "delete")))
    assert "<h1>Delete this job?</h1>" in html
    assert "its 2 files and results are removed for good" in html
    assert BatchJob.objects.filter(pk=job.pk).exists()
    answer = browser.post(url(job, "delete"), follow=True)
    assert answer.redirect_chain == [("/jobs", 302)]
    assert messages_of(answer) == ["Deleted: 1.txt and 1 more."]
    assert not BatchJob.objects.filter(pk=job.pk).exists()
    assert browser.post(url(job, "delete")).status_code == 404


def test_deleting_what_runs(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    for answer in (
        browser.get(url(job, "delete"), follow=True),
        browser.post(url(job, "delete"), follow=True),
    ):
        assert answer.redirect_chain == [(url(job), 302)]
        assert messages_of(answer) == ["Cancel the job first, or wait for it to finish."]
    assert state_of(job) == "queued"


def test_a_retry_that_comes_after_the_page_was_drawn(browser: Client, acme: Organization) -> None:
    """An older page's Delete meets a job that runs again."""
    job = submit(acme, "text")
    fail_next()
    assert "its file and the result" in text_of(shown(browser, job))
    retry_job(actor=owner_of(acme), job=job)
    answer = browser.post(url(job, "delete"), follow=True)
    assert messages_of(answer) == ["Cancel the job first, or wait for it to finish."]


# --- who ----------------------------------------------------------------------------------------

ACTIONS = ("cancel", "retry", "delete")


def everything_of(job: BatchJob) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    files = job.files.order_by("position").values()
    return BatchJob.objects.filter(pk=job.pk).values().get(), list(files)


def test_a_reader_sees_all_and_changes_nothing(
    bob: User, client_for: ClientFor, acme: Organization
) -> None:
    browser = client_for(bob)
    running, ended = submit(acme, "text"), submit(acme, "text", priority=Priority.HIGH)
    fail_next(partial="some")
    for job in (running, ended):
        before = everything_of(job)
        html = shown(browser, job)
        assert "<dialog" not in html
        assert 'method="post" action="/jobs/' not in html
        for action in ACTIONS:
            answer = browser.post(url(job, action))
            assert answer.status_code == 403
            assert "does not allow it" in answer.content.decode()
        assert browser.get(url(job, "cancel")).status_code == 403
        assert browser.get(url(job, "delete")).status_code == 403
        assert everything_of(job) == before
    assert "Download ZIP" in shown(browser, ended)


def test_a_contributor_changes_only_what_they_made(
    client_for: ClientFor, acme: Organization
) -> None:
    dora = create_user(email="dora@example.com", password=None, name="")
    add_member(organization=acme, user=dora, role=Role.CONTRIBUTOR)
    browser = client_for(dora)
    job = submit(acme, "text", "more")
    fail_next()
    fail_next(FailureClass.CRASH)
    fail_next(FailureClass.CRASH)
    assert "Retry" not in text_of(shown(browser, job))
    assert browser.post(url(job, "retry")).status_code == 403
    BatchJob.objects.update(created_by=dora)
    told = text_of(shown(browser, job))
    assert "by dora@example.com" in told
    assert "Retry 1 file" in told  # the quarantined one is for owners and admins
    assert browser.post(url(job, "retry")).status_code == 302
    assert sorted(job.files.values_list("state", flat=True)) == ["quarantined", "queued"]


def test_for_another_organization_there_is_no_such_job(
    charlie: User, client_for: ClientFor, acme: Organization
) -> None:
    browser = client_for(charlie)
    jobs = [submit(acme, "text"), submit(acme, "text", priority=Priority.HIGH)]
    fail_next()
    for job in jobs:
        before = everything_of(job)
        for path in (url(job), *(url(job, a) for a in ("live", "cancel", "delete"))):
            answer = browser.get(path)
            assert answer.status_code == 404, path
            assert "1.txt" not in answer.content.decode()
        for action in ACTIONS:
            assert browser.post(url(job, action)).status_code == 404, action
        assert everything_of(job) == before


def test_a_form_of_another_site_does_nothing(alice: User, acme: Organization) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    job = submit(acme, "text")
    before = everything_of(job)
    for action in ACTIONS:
        assert browser.post(url(job, action)).status_code == 403
    assert everything_of(job) == before


def test_who_is_not_signed_in_changes_nothing(client: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    before = everything_of(job)
    for action in ACTIONS:
        answer = client.post(url(job, action))
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in")
    assert everything_of(job) == before


def test_methods(browser: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    for path in (url(job), url(job, "live")):
        assert browser.post(path).status_code == 405
    assert browser.put(url(job, "cancel")).status_code == 405
