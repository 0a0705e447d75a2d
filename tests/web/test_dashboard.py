"""The start page: what runs, what failed, what is new."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.formats import date_format
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.services import create_organization
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job
from apps.queue.models import WorkerNode
from apps.queue.pauses import pause
from apps.web import dashboard
from tests.batches import SOMEBODY, claimed, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, field, part
from tests.jobs.runs import fail_next, read_next

pytestmark = pytest.mark.once

OVERVIEW = {"HX-Request": "true", "HX-Target": "overview"}


@pytest.fixture
def alices(alice: User, client_for: ClientFor) -> Client:
    return client_for(alice)


def page(browser: Client) -> str:
    answer = browser.get("/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def shown(html: str, section: str) -> list[str]:
    return re.findall(rf'id="{section}-([0-9a-f-]{{36}})"', html)


def poll(html: str) -> str:
    found = re.search(r'<div id="overview"[^>]*hx-get="([^"]*)"', html)
    assert found
    return unescape(found[1])


def test_each_job_is_where_it_belongs(
    alices: Client, alice_api: APIClient, acme: Organization
) -> None:
    read = accepted(alice_api, part(name="may.txt"), part(name="june.txt"))["id"]
    read_next()
    read_next()
    failed = accepted(alice_api, part(name="bad.txt"), field("name", "Letters"))["id"]
    fail_next()
    refused = accepted(alice_api, part(), part(b"", "empty.txt"), part(b"", "void.txt"))["id"]
    read_next()
    waits = str(submit(acme, "one", "two").pk)
    html = page(alices)
    assert shown(html, "running") == [waits]
    assert shown(html, "failed") == [refused, failed]
    assert shown(html, "new") == [refused, read]
    for text in (
        "may.txt and 1 more",
        "Letters",
        "<bdi>bad.txt</bdi>: <bdi>It failed.</bdi>",
        "2 files, under 1 s",
        "1 of 3 files",
    ):
        assert text in html, text
    assert re.search(r"empty\.txt</bdi>: .+ \(and 1 more\)", html)
    assert 'href="/jobs/new"' in html


def test_what_runs_is_shown_before_what_waits(alices: Client, acme: Organization) -> None:
    first, second = (submit(acme, "one", "two") for _ in range(2))
    claimed()
    for _ in range(4):
        submit(acme, "waits")
    assert "other-running" not in page(alices)
    newest = submit(acme, "waits")
    html = page(alices)
    assert shown(html, "running")[:2] == [str(first.pk), str(newest.pk)]
    assert str(second.pk) not in html
    assert 'id="other-running" href="/jobs?state=running">1 more</a>' in html
    assert 'aria-label="Progress of 1.txt and 1 more"' in html
    cancel_job(actor=owner_of(acme), job=second)
    answer = alices.get(poll(html), headers=OVERVIEW)
    assert "other-running" not in answer.content.decode()


def test_more_in_progress_than_anybody_counts(
    alices: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "COUNTED", 2)
    for _ in range(9):
        submit(acme, "waits")
    assert ">More than 2 others</a>" in page(alices)


def test_that_nobody_works_is_told_as_long_as_it_is_so(alices: Client, acme: Organization) -> None:
    assert "No worker" not in page(alices)
    submit(acme, "one")
    html = page(alices)
    assert html.count("No worker is running.") == 1
    WorkerNode.objects.create(id=SOMEBODY, host="here", pid=1, lanes=["default"], slots=1)
    answer = alices.get(poll(html), headers=OVERVIEW)
    assert answer.status_code == 200
    assert "No worker" not in answer.content.decode()
    WorkerNode.objects.all().delete()
    claimed()
    assert "No worker" not in page(alices)


def test_a_page_of_the_organization_that_one_left_is_drawn_anew(
    alices: Client, alice: User, acme: Organization
) -> None:
    job = submit(acme, "one")
    second = create_organization(name="Second", owner=alice)
    own = re.search(r"hx-headers='([^']*)'", page(alices))
    assert own
    headers = {**json.loads(own[1]), "HX-Request": "true"}
    assert headers["X-Organization"] == str(acme.pk)
    polls = {"/": "overview", "/jobs": "list", f"/jobs/{job.pk}/live": "job-live"}
    for path, target in polls.items():
        answer = alices.get(path, headers={**headers, "HX-Target": target})
        assert "HX-Refresh" not in answer
        assert f'id="{target}"' in answer.content.decode()
    alices.post("/organization", {"organization": str(second.pk)})
    for path, target in polls.items():
        answer = alices.get(path, headers={**headers, "HX-Target": target})
        assert (answer["HX-Refresh"], answer.content) == ("true", b"")
    assert alices.get("/", headers={"X-Organization": str(acme.pk)}).status_code == 200


def test_failures_of_long_ago_are_left_to_the_list(alices: Client, acme: Organization) -> None:
    submit(acme, "one")
    fail_next()
    BatchJob.objects.update(finished_at=timezone.now() - timedelta(days=8))
    html = page(alices)
    assert shown(html, "failed") == []
    for text in ("Nothing failed.", "Nothing runs or waits at the moment.", "No results yet."):
        assert text in html, text
    assert "No jobs yet" not in html


def test_a_failed_job_without_its_files_still_shows(alices: Client, acme: Organization) -> None:
    submit(acme, "one")
    fail_next()
    BatchFile.objects.update(state="cancelled")
    assert "The job page says why." in page(alices)


def test_a_job_that_had_nothing_to_run_took_no_time(alices: Client, acme: Organization) -> None:
    submit(acme, "one")
    read_next()
    BatchJob.objects.update(started_at=None)  # as for one with nothing but files read before
    assert ">1 file</span>" in page(alices)


def test_a_new_organization_is_invited(
    alices: Client, acme: Organization, bob: User, client_for: ClientFor
) -> None:
    html = page(alices)
    assert "No jobs yet" in html
    assert "http://testserver/api/batch/upload" in html
    html = page(client_for(bob))
    assert "Its owners, admins and contributors submit" in html
    assert "/jobs/new" not in html


def test_a_reader_sees_no_way_to_submit(
    acme: Organization, bob: User, client_for: ClientFor
) -> None:
    job = submit(acme, "one")
    html = page(client_for(bob))
    assert shown(html, "running") == [str(job.pk)]
    assert "/jobs/new" not in html


def test_nothing_of_another_organization(
    alice_api: APIClient, charlie: User, client_for: ClientFor
) -> None:
    for _ in range(2):
        accepted(alice_api, part(name="secret.txt"), field("name", "Plans of Acme"))
    read_next()
    html = page(client_for(charlie))
    assert "No jobs yet" in html
    assert "Acme" not in html
    assert "secret" not in html


def test_the_lists_of_an_open_page_come_only_when_they_changed(
    alices: Client, acme: Organization
) -> None:
    html = page(alices)
    assert 'hx-trigger="slowbeat from:body"' in html
    assert alices.get(poll(html), headers=OVERVIEW).status_code == 204
    job = submit(acme, "one")
    answer = alices.get(poll(html), headers=OVERVIEW)
    html = answer.content.decode()
    assert html.strip().startswith('<div id="overview"')
    assert 'hx-trigger="beat from:body"' in html
    assert alices.get(poll(html), headers=OVERVIEW).status_code == 204
    read_next()
    html = alices.get(poll(html), headers=OVERVIEW).content.decode()
    assert shown(html, "new") == [str(job.pk)]


def test_signed_out(client: Client) -> None:
    assert client.get("/", headers=OVERVIEW).status_code == 401
    assert client.get("/")["Location"] == "/sign-in?next=/"


def test_what_holds_the_work_in_progress_is_told(
    alices: Client, acme: Organization, other: Organization
) -> None:
    submit(acme, "waits")
    pause(by=None, lane="ocr", reason="Nothing of theirs waits there")
    pause(by=None, organization=other, reason="Not theirs")
    html = page(alices)
    assert 'id="paused"' not in html
    seen = re.search(r"seen=(\w+)", html)
    assert seen
    pause(by=None, lane="default", reason="<b>The disk is full</b>")
    news = alices.get(f"/?seen={seen[1]}", headers=OVERVIEW).content.decode()
    assert "The lane default is paused" in news
    assert "&lt;b&gt;The disk is full&lt;/b&gt;" in news
    assert "Nothing of theirs" not in news
    assert "Not theirs" not in news


def test_a_pause_that_ends_by_itself_says_on_which_day(alices: Client, acme: Organization) -> None:
    submit(acme, "waits")
    until = timezone.now() + timedelta(days=1)
    pause(by=None, until=until)
    told = f"goes on by itself at {date_format(timezone.localtime(until), 'j M, H:i')}"
    assert told in page(alices)


def test_the_number_of_queries_does_not_grow(alices: Client, acme: Organization) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page(alices)
        return len(seen)

    def one_of_each() -> None:
        for _ in range(2):
            submit(acme, "one")
        read_next()
        fail_next()
        submit(acme, "waits")

    one_of_each()
    of_one = queries()
    for _ in range(9):
        one_of_each()
        BatchFile.objects.unfinished().update(is_held=True)  # the next one's turn
    assert queries() == of_one <= 16
    html = page(alices)
    assert [len(shown(html, each)) for each in ("running", "failed", "new")] == [6, 6, 6]
