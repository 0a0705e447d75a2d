"""The start page: what runs, what failed, what is new."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile, BatchJob
from tests.batches import submit
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, field, part
from tests.jobs.runs import fail_next, read_next

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
        "bad.txt: It failed.",
        "2 files, under 1 s",
        "1 of 3 files",
    ):
        assert text in html, text
    assert re.search(r"empty\.txt: .+ \(and 1 more\)", html)
    assert 'href="/jobs/new"' in html


def test_failures_of_long_ago_are_left_to_the_list(alices: Client, acme: Organization) -> None:
    submit(acme, "one")
    fail_next()
    BatchJob.objects.update(finished_at=timezone.now() - timedelta(days=8))
    html = page(alices)
    assert shown(html, "failed") == []
    for text in ("Nothing failed.", "Nothing runs at the moment.", "No results yet."):
        assert text in html, text
    assert "No jobs yet" not in html


def test_a_failed_job_without_its_files_still_shows(alices: Client, acme: Organization) -> None:
    submit(acme, "one")
    fail_next()
    BatchFile.objects.update(state="cancelled")
    assert "The job page says why." in page(alices)


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
    assert queries() == of_one <= 11
    html = page(alices)
    assert [len(shown(html, each)) for each in ("running", "failed", "new")] == [6, 6, 6]
