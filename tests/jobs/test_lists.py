"""GET /api/batch/jobs and .../files: pages, filters, bounds, and a fixed number of queries."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchJob
from apps.queue.models import Priority
from tests.batches import submit
from tests.jobs.forms import accepted, field, part
from tests.jobs.runs import fail_next, read_next

JOBS = "/api/batch/jobs"


def pages(api: APIClient, url: str) -> Iterator[dict[str, Any]]:
    """Every page from `url` on."""
    following: str | None = url
    while following:
        answer = api.get(following)
        assert answer.status_code == 200, answer.content
        page: dict[str, Any] = answer.json()
        yield page
        following = page["next"]


def ids_at(api: APIClient, url: str) -> list[str]:
    return [job["id"] for page in pages(api, url) for job in page["results"]]


def refused_fields(api: APIClient, url: str) -> list[str]:
    answer = api.get(url)
    assert answer.status_code == 400, (url, answer.content)
    assert answer["Content-Type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]


def test_pages_show_every_job_once_the_newest_first(
    alice_api: APIClient, acme: Organization
) -> None:
    jobs = [submit(acme, "text") for _ in range(7)]
    newest_first = [str(job.pk) for job in reversed(jobs)]
    for limit in (1, 2, 3, 7, 100):
        assert ids_at(alice_api, f"{JOBS}?limit={limit}") == newest_first
    shown = list(pages(alice_api, f"{JOBS}?limit=3"))
    assert [len(page["results"]) for page in shown] == [3, 3, 1]
    assert all(set(page) == {"next", "previous", "results"} for page in shown)
    assert shown[0]["previous"] is None


def test_pages_lose_nothing_when_all_jobs_are_of_the_same_moment(
    alice_api: APIClient, acme: Organization
) -> None:
    jobs = {str(submit(acme, "text").pk) for _ in range(7)}
    BatchJob.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    for limit in (1, 2, 3):
        seen = ids_at(alice_api, f"{JOBS}?limit={limit}")
        assert sorted(seen) == sorted(jobs)


def test_pages_stay_the_same_while_jobs_are_added(alice_api: APIClient, acme: Organization) -> None:
    old = [str(submit(acme, "text").pk) for _ in range(4)]
    first = alice_api.get(f"{JOBS}?limit=2").json()
    submit(acme, "text")
    second = alice_api.get(first["next"]).json()
    assert [job["id"] for job in first["results"] + second["results"]] == old[::-1]
    back = alice_api.get(second["previous"]).json()
    assert [job["id"] for job in back["results"]] == old[:1:-1]


def test_the_list_may_be_empty(alice_api: APIClient) -> None:
    assert alice_api.get(JOBS).json() == {"next": None, "previous": None, "results": []}


def test_filters(alice_api: APIClient) -> None:
    may = [part(), field("name", "Invoices of May"), field("priority", "high")]
    read = accepted(alice_api, *may)["id"]
    read_next()
    failed = accepted(alice_api, part(), field("name", "invoices of June"))["id"]
    fail_next()
    scan = part(b"\x89PNG\r\n\x1a\n", "a.png")
    waits = accepted(alice_api, scan, field("operation", "ocr"), field("priority", "low"))["id"]
    expected = {
        "state=succeeded": [read],
        "state=succeeded&state=failed": [failed, read],
        "state=queued": [waits],
        "state=running": [],
        "operation=ocr": [waits],
        "priority=high": [read],
        "priority=normal": [failed],
        "name=invoices": [failed, read],
        "name=MAY": [read],
        "name=%25": [],
        "name=invoices&state=failed": [failed],
    }
    for query, jobs in expected.items():
        assert ids_at(alice_api, f"{JOBS}?{query}") == jobs, query


def test_filters_by_time(alice_api: APIClient, acme: Organization) -> None:
    job = submit(acme, "text")
    moment = job.created_at
    for name, others in (("created_after", [True, True, False]), ("created_before", [0, 0, 1])):
        for shift, expected in zip((-1, 0, 1), others, strict=True):
            when = (moment + timedelta(seconds=shift)).isoformat()
            found = ids_at(alice_api, f"{JOBS}?{urlencode({name: when})}")
            assert bool(found) == bool(expected), (name, shift)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("state=explode", "state"),
        ("state=queued&state=", "state"),
        ("priority=urgent", "priority"),
        ("priority=5", "priority"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-13-01T00:00:00Z", "created_after"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
        ("created_before=9999-12-31T23:59:59-14:00", "created_before"),
        ("created_before=%00", "created_before"),
        ("name=" + "n" * 201, "name"),
        ("name=a%00b", "name"),
        ("operation=a%00b", "operation"),
        ("operation=" + "o" * 201, "operation"),
        *((f"{name}=", name) for name in ("priority", "name", "operation", "created_after")),
        ("colour=blue", "colour"),
        ("Limit=3", "Limit"),
        ("offset=3", "offset"),
        *((f"limit={limit}", "limit") for limit in ("0", "101", "-1", "x", "1.5", "", "9" * 5000)),
        ("limit=%D9%A3", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%2B5", "limit"),
    ],
)
def test_bad_filters_and_bounds_are_named(
    alice_api: APIClient, acme: Organization, query: str, named: str
) -> None:
    submit(acme, "text")
    assert refused_fields(alice_api, f"{JOBS}?{query}") == [named]


def cursor(text: str) -> str:
    return quote(base64.b64encode(text.encode()).decode())


BAD_CURSORS = [
    "x",
    "%C3%A9",
    cursor("p=not a time"),
    cursor("p=2026-13-01"),
    cursor("p=5"),
    cursor("p=\x00"),
    cursor("p=9999-12-31T23:59:59-14:00"),
    cursor("o=-1"),
    cursor("o=x"),
    cursor("p=" + "9" * 5000),
    cursor("o=" + "9" * 5000),
]


@pytest.mark.parametrize("given", BAD_CURSORS)
def test_a_cursor_that_nobody_gave_is_a_bad_request(
    alice_api: APIClient, acme: Organization, given: str
) -> None:
    submit(acme, "text")
    assert refused_fields(alice_api, f"{JOBS}?cursor={given}") == ["cursor"]


def test_a_cursor_of_one_list_is_bad_in_the_other(alice_api: APIClient, acme: Organization) -> None:
    job = submit(acme, "one", "two", "three")
    files = alice_api.get(f"{JOBS}/{job.pk}/files?limit=1").json()["next"]
    assert refused_fields(alice_api, f"{JOBS}?{files.partition('?')[2]}") == ["cursor"]
    submit(acme, "text")
    jobs = alice_api.get(f"{JOBS}?limit=1").json()["next"]
    url = f"{JOBS}/{job.pk}/files?{jobs.partition('?')[2]}"
    assert refused_fields(alice_api, url) == ["cursor"]


def test_the_number_of_queries_does_not_grow_with_the_jobs(
    alice_api: APIClient, acme: Organization
) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            assert alice_api.get(f"{JOBS}?limit=100").status_code == 200
        return [query["sql"] for query in seen]

    submit(acme, "text", "more")
    alice_api.get(JOBS)  # notes the key's use, which it does once a minute
    of_one = queries()
    for number in range(29):
        submit(acme, "text", "more", priority=list(Priority)[number % 3])
        if number % 3 == 0:
            read_next()
    of_thirty = queries()
    assert len(of_thirty) == len(of_one), of_thirty
    assert len(of_one) <= 8


def test_the_files_of_a_job_come_in_their_order_in_pages(alice_api: APIClient) -> None:
    names = [f"{number}.txt" for number in (3, 1, 2, 5, 4)]
    job = accepted(alice_api, *(part(name=name) for name in names))
    url = f"{job['files_url']}?limit=2"
    files = [file for page in pages(alice_api, url) for file in page["results"]]
    assert [file["name"] for file in files] == names
    assert [file["position"] for file in files] == [1, 2, 3, 4, 5]


def test_a_parent_that_is_left_empty_is_not_every_file(
    alice_api: APIClient, acme: Organization
) -> None:
    files = f"{JOBS}/{submit(acme, 'text').pk}/files"
    assert refused_fields(alice_api, f"{files}?parent=") == ["parent"]
    assert refused_fields(alice_api, f"{files}?parent=x&name=") == ["name"]


def test_files_are_filtered_by_state_and_name(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(name="may.txt"), part(name="June.txt"), part(b"", "bad.txt"))

    def names(query: str) -> list[str]:
        found = alice_api.get(f"{job['files_url']}?{query}").json()["results"]
        return [file["name"] for file in found]

    assert names("state=rejected") == ["bad.txt"]
    assert names("state=rejected&state=queued") == ["may.txt", "June.txt", "bad.txt"]
    assert names("name=JUNE") == ["June.txt"]
    for query in ("state=explode", "limit=0", "limit=101", "colour=blue", "cursor=x"):
        assert refused_fields(alice_api, f"{job['files_url']}?{query}") == [query.split("=")[0]]


def test_the_number_of_queries_does_not_grow_with_the_files(
    alice_api: APIClient, alice: User
) -> None:
    def queries(job: dict[str, Any]) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert alice_api.get(f"{job['files_url']}?limit=100").status_code == 200
        return len(seen)

    one = accepted(alice_api)
    many = accepted(alice_api, *(part(name=f"{n}.txt") for n in range(30)))
    for _ in range(16):
        read_next()
    alice_api.get(JOBS)
    assert queries(one) == queries(many) <= 4
