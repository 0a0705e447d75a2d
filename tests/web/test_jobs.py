"""The list of jobs: what is shown to whom, filters, search, paging, news, and what it costs."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job
from apps.queue.models import Priority
from apps.web import filters
from apps.web.filters import Filters, find
from tests.batches import claimed, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, field, part
from tests.jobs.runs import fail_next, read_next
from tests.jobs.test_lists import BAD_CURSORS

LIST = {"HX-Request": "true", "HX-Target": "list"}


def page(browser: Client, query: str = "") -> str:
    answer = browser.get(f"/jobs?{query}")
    assert answer.status_code == 200, (query, answer.content)
    return str(answer.content.decode())


def shown(html: str) -> list[str]:
    """The ids of the jobs that are listed, in order."""
    return re.findall(r'id="job-([0-9a-f-]{36})"', html)


def link(html: str, name: str) -> str | None:
    """Where the link with the id `name` leads; None when there is none."""
    found = re.search(rf'<a [^>]*id="{name}"[^>]*>', html)
    if found is None:
        return None
    address = re.search(r'href="([^"]*)"', found[0])
    assert address
    return unescape(address[1])


def poll(html: str) -> str:
    found = re.search(r'<div id="list"[^>]*hx-get="([^"]*)"', html)
    assert found, "the list does not ask for news"
    return unescape(found[1])


def bulk(organization: Organization, count: int, **changes: Any) -> list[BatchJob]:
    """`count` jobs of one file, a minute apart, the newest last; more than services could make."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    fields = {"operation": "extract", "total": 1, "state": "succeeded", "succeeded": 1} | changes
    moments = [start + timedelta(minutes=number) for number in range(count)]
    jobs = BatchJob.objects.bulk_create(
        [
            BatchJob(organization=organization, created_at=moment, finished_at=moment, **fields)
            for moment in moments
        ]
    )
    BatchFile.objects.bulk_create(
        [
            BatchFile(
                organization=organization,
                job=job,
                position=1,
                name=f"page-{number}.txt",
                lane="default",
                priority=Priority.NORMAL,
                state="failed" if job.failed else "succeeded",
            )
            for number, job in enumerate(jobs)
        ]
    )
    return jobs


def said(answer: Any) -> str:
    """What a screen reader says of a search."""
    found = re.search(r'<p id="said" hx-swap-oob="innerHTML">(.*)</p>', answer.content.decode())
    return found[1] if found else ""


@pytest.fixture
def alices(alice: User, client_for: ClientFor) -> Client:
    return client_for(alice)


def test_a_row_says_what_there_is_to_know(
    alices: Client, alice_api: APIClient, acme: Organization
) -> None:
    read = accepted(alice_api, part(), field("name", "<b>Invoices</b>"))["id"]
    read_next()
    mixed = accepted(alice_api, part(name="first.txt"), part(name="second.txt"), part(b"", "no"))
    read_next()
    fail_next()
    stopped = submit(acme, "one")
    cancel_job(actor=owner_of(acme), job=stopped)
    waits = submit(acme, "one", "two")
    html = page(alices)
    assert shown(html) == [str(waits.pk), str(stopped.pk), mixed["id"], read]
    for text in (
        "&lt;b&gt;Invoices&lt;/b&gt;",
        "first.txt and 2 more",
        "1.txt and 1 more",
        "Partly failed",
        "1 succeeded, 1 failed, 1 rejected",
        "2 queued",
        "Alice",
        "under 1 s",
        "not yet known",
        "never ran",
    ):
        assert text in html, text
    assert html.count('role="progressbar"') == 1
    assert "<b>Invoices" not in html
    assert "<bdi>first.txt and 2 more</bdi>" in html
    assert 'aria-label="Progress of 1.txt and 1 more"' in html
    assert re.findall(r"<(?:td|th|tr|thead|tbody|table)(?! role=)[ >]", html) == []


def test_a_job_outlives_who_made_it(alices: Client, acme: Organization, alice: User) -> None:
    submit(acme, "one")
    BatchJob.objects.update(created_by=None)
    assert "somebody who left" in page(alices)


def test_time_to_go(alices: Client, acme: Organization) -> None:
    submit(acme, "one", "two")
    claimed()
    BatchFile.objects.filter(state="running").update(progress=0.5)
    BatchJob.objects.update(started_at=datetime.now(UTC) - timedelta(seconds=60))
    assert re.search(r"about 3 min( \d+ s)? left", page(alices))


def test_nothing_of_another_organization(
    alice: User, charlie: User, alice_api: APIClient, client_for: ClientFor
) -> None:
    job = accepted(alice_api, part(name="secret.txt"), field("name", "Plans of Acme"))
    file = BatchFile.objects.get()
    charlies = client_for(charlie)
    for query in ("", "q=plans", "q=secret", f"q={job['id']}", f"q={file.pk}", "state=running"):
        html = page(charlies, query)
        assert shown(html) == [], query
        assert "Acme" not in html
        assert "secret.txt" not in html


def test_filters(alices: Client, alice_api: APIClient, alice: User, acme: Organization) -> None:
    read = accepted(alice_api, part(name="may.txt"), field("name", "Invoices of May"))["id"]
    read_next()
    mixed = accepted(alice_api, part(name="june.txt"), part(name="july.txt"))["id"]
    read_next()
    fail_next()
    failed = accepted(alice_api, part(name="august 100%.txt"))["id"]
    fail_next()
    stopped = submit(acme, "one")
    cancel_job(actor=owner_of(acme), job=stopped)
    waits = accepted(alice_api, part(b"\x89PNG\r\n\x1a\n", "a.png"), field("operation", "ocr"))[
        "id"
    ]
    file = BatchFile.objects.get(name="july.txt").pk
    everything = [waits, str(stopped.pk), failed, mixed, read]
    expected = {
        "": everything,
        "state=running": [waits],
        "state=failed": [failed, mixed],
        "state=succeeded": [read],
        "state=cancelled": [str(stopped.pk)],
        "operation=ocr": [waits],
        "operation=extract&state=failed": [failed, mixed],
        "q=INVOICES": [read],
        "q=+may+": [read],
        "q=july.TXT": [mixed],
        "q=100%25.txt": [failed],
        "q=%25": [failed],
        "q=_": [],
        "q=nothing": [],
        "q=july&state=succeeded": [],
        f"q={read}": [read],
        f"q={str(read).upper()}": [read],
        f"q={file}": [mixed],
        f"q={file}&state=succeeded": [],
        f"q={uuid4()}": [],
        "q=%00": everything,
        "q=inv%00oices": [read],
        "until=2026-01-01T00:00:00Z": everything,
    }
    for query, jobs in expected.items():
        assert shown(page(alices, query)) == jobs, query


def test_an_id_may_be_part_of_a_name(alices: Client, alice_api: APIClient) -> None:
    made_elsewhere = uuid4()
    job = accepted(alice_api, part(name=f"{made_elsewhere}.txt"))["id"]
    assert shown(page(alices, f"q={made_elsewhere}")) == [job]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("state=explode", "no such state"),
        ("state=%00", "no such state"),
        ("operation=dance", "no such operation"),
        ("q=" + "n" * 10_000, "No name is that long"),
    ],
)
def test_what_is_not_understood_is_told(
    alices: Client, acme: Organization, query: str, told: str
) -> None:
    submit(acme, "one")
    assert told in page(alices, query)


@pytest.mark.parametrize("until", ["x", "2026-13-01T00:00:00Z", "2026-01-01", "%00", "9" * 5000])
def test_a_bad_end_of_a_search_is_no_end(alices: Client, acme: Organization, until: str) -> None:
    job = submit(acme, "one")
    assert shown(page(alices, f"q=1.txt&until={until}")) == [str(job.pk)]


@pytest.mark.parametrize("given", BAD_CURSORS)
def test_a_bad_cursor_leads_to_the_newest(alices: Client, acme: Organization, given: str) -> None:
    job = submit(acme, "one")
    answer = alices.get(f"/jobs?state=running&cursor={given}", follow=True)
    assert answer.redirect_chain == [("/jobs?state=running", 302)]
    html = answer.content.decode()
    assert "That page of the list is not there" in html
    assert shown(html) == [str(job.pk)]


def test_pages_lead_both_ways_and_keep_the_filters(alices: Client, acme: Organization) -> None:
    jobs = [str(job.pk) for job in bulk(acme, 120)][::-1]
    bulk(acme, 5, state="failed", succeeded=0, failed=1)
    first = page(alices, "state=succeeded&q=page")
    assert (link(first, "newer"), link(first, "newest")) == (None, None)
    second = alices.get(link(first, "older") or "").content.decode()
    third = alices.get(link(second, "older") or "").content.decode()
    assert link(third, "older") is None
    assert shown(first) + shown(second) + shown(third) == jobs
    back = alices.get(link(third, "newer") or "").content.decode()
    assert shown(back) == shown(second)
    start = alices.get(link(back, "newer") or "").content.decode()
    assert shown(start) == shown(first)
    assert link(back, "newest") == "/jobs?state=succeeded&q=page"
    assert link(second, "state-failed") == "/jobs?state=failed&q=page"
    assert link(second, "state-all") == "/jobs?q=page"


def test_a_page_whose_jobs_were_deleted(alices: Client, acme: Organization) -> None:
    bulk(acme, 60)
    older = link(page(alices), "older") or ""
    BatchFile.objects.all().delete()
    BatchJob.objects.all().delete()
    html = alices.get(older).content.decode()
    assert "No jobs on this page any more" in html
    assert link(html, "newest") == "/jobs"


def test_what_a_search_did_not_look_at_is_told_and_found_further_back(
    alices: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "SEARCHED", 10)
    jobs = bulk(acme, 25)
    seen: list[str] = []
    address: str | None = "/jobs?q=page"
    for found in (10, 10, 5):
        html = alices.get(address or "").content.decode()
        assert len(shown(html)) == found
        seen += shown(html)
        address = link(html, "search-older")
    assert address is None
    assert seen == [str(job.pk) for job in reversed(jobs)]
    first = page(alices, "q=page-3.txt")
    assert "Nothing here yet" in first
    assert shown(first) == []
    assert shown(page(alices, f"q={jobs[3].pk}")) == [str(jobs[3].pk)]
    assert said(alices.get("/jobs?q=page", headers=LIST)) == "10 jobs and more."
    assert said(alices.get("/jobs?q=page-3.txt", headers=LIST)) == "No job matches so far."


def test_empty_lists_say_what_to_do(
    alices: Client, acme: Organization, bob: User, client_for: ClientFor
) -> None:
    html = page(alices)
    assert "No jobs yet" in html
    assert link(html, "first-job") == "/jobs/new"
    html = page(client_for(bob))
    assert "Its owners, admins and contributors submit" in html
    assert "/jobs/new" not in html
    assert link(page(alices, "q=nothing"), "clear") == "/jobs"


def test_a_reader_sees_the_jobs_and_no_way_to_make_one(
    acme: Organization, bob: User, client_for: ClientFor
) -> None:
    job = submit(acme, "one")
    html = page(client_for(bob))
    assert shown(html) == [str(job.pk)]
    assert "/jobs/new" not in html


def test_the_list_of_an_open_page_comes_only_when_it_changed(
    alices: Client, acme: Organization
) -> None:
    submit(acme, "one")
    html = page(alices, "state=running")
    assert 'hx-trigger="beat from:body"' in html
    address = poll(html)
    assert alices.get(address, headers=LIST).status_code == 204
    claimed()
    BatchJob.objects.update(revision=2)
    answer = alices.get(address, headers=LIST)
    assert answer.content.strip().startswith(b'<div id="list"')
    assert "HX-Replace-Url" not in answer
    colleague = submit(acme, "two")
    answer = alices.get(poll(answer.content.decode()), headers=LIST)
    assert shown(answer.content.decode())[0] == str(colleague.pk)


def test_only_pages_with_something_to_come_ask_for_news(alices: Client, acme: Organization) -> None:
    bulk(acme, 60)
    first = page(alices)
    assert 'hx-trigger="slowbeat from:body"' in first
    older = alices.get(link(first, "older") or "").content.decode()
    assert "hx-get" not in older.partition('<div id="list"')[2]
    running = bulk(acme, 1, state="running", succeeded=0)[0]
    assert running.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    older = alices.get(link(first, "older") or "").content.decode()
    assert 'hx-trigger="beat from:body"' in older
    assert alices.get(poll(older), headers=LIST).status_code == 204


def test_a_search_while_typing_answers_the_list_and_its_address(
    alices: Client, acme: Organization
) -> None:
    submit(acme, "one")
    answer = alices.get("/jobs?state=running&operation=&q=1.t", headers=LIST)
    assert answer["HX-Replace-Url"] == "/jobs?state=running&q=1.t"
    assert answer.content.strip().startswith(b'<div id="list"')
    assert said(answer) == "1 job."
    answer = alices.get("/jobs?q=nothing", headers=LIST)
    assert said(answer) == "No job matches."
    assert said(alices.get(poll(answer.content.decode()), headers=LIST)) == ""
    restored = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert b"<html" in alices.get("/jobs", headers=restored).content


def test_signed_out(client: Client) -> None:
    assert client.get("/jobs", headers=LIST).status_code == 401
    answer = client.get("/jobs?state=failed")
    assert answer["Location"] == "/sign-in?" + urlencode({"next": "/jobs?state=failed"}, safe="/")


def test_the_number_of_queries_does_not_grow(alices: Client, acme: Organization) -> None:
    def queries(query: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            page(alices, query)
        return len(seen)

    asked = ("", "state=failed", "q=page", f"q={uuid4()}", "state=running&operation=extract&q=page")
    bulk(acme, 9, state="failed", succeeded=0, failed=1)
    submit(acme, "one", "two")
    of_ten = [queries(query) for query in asked]
    bulk(acme, 900)
    bulk(acme, 90, state="failed", succeeded=0, failed=1)
    for _ in range(3):
        submit(acme, "one", "two")
    assert [queries(query) for query in asked] == of_ten
    assert max(of_ten) <= 10


def test_lists_are_read_from_an_index(acme: Organization, other: Organization) -> None:
    # PostgreSQL plans by how much there is, SQLite by what could be asked.
    many = 6000 if connection.vendor == "postgresql" else 60
    bulk(acme, many)
    bulk(other, many)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE jobs_batchjob")
    mine = BatchJob.objects.in_organization(acme)
    newest = mine.order_by("-created_at", "-id")
    assert "job_list" in newest[:51].explain()
    for asked in (Filters(state="succeeded"), Filters(operation="extract")):
        assert "job_list" in find(newest, asked).jobs[:51].explain(), asked
    ended = mine.filter(state="succeeded").order_by("-finished_at")
    assert "job_ended" in ended[:6].explain()
