"""Jobs, files and attempts in the admin: bounded lists, filters, searches, and pages."""

import re
import uuid
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Organization
from apps.core import admin as shared
from apps.jobs import services
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.queue.models import WorkerNode
from apps.queue.states import State
from tests.batches import claimed, owner_of, submit
from tests.operators import MODELS, a_failed_and_a_read, list_of, page_of, superuser, told


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def found(client: Client, model: str, **query: object) -> set[str]:
    """The names of the rows that a list shows for `query`."""
    answer = client.get(list_of(model), query)
    assert answer.status_code == 200, answer
    return {str(row) for row in answer.context["cl"].result_list}


@pytest.mark.parametrize("model", MODELS)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(
    operator: Client, acme: Organization, model: str
) -> None:
    counts = []
    for jobs in (1, 6):
        for _ in range(jobs):
            a_failed_and_a_read(acme)
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(list_of(model)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 8


@pytest.mark.parametrize("query", [{}, {"q": "txt"}, {"organization": "acme", "made": "day"}])
@pytest.mark.parametrize("model", MODELS)
def test_no_list_counts_a_whole_table(
    operator: Client, acme: Organization, model: str, query: dict[str, str]
) -> None:
    a_failed_and_a_read(acme)
    with CaptureQueriesContext(connection) as queries:
        assert operator.get(list_of(model), query).status_code in (200, 302)
    counting = [each["sql"] for each in queries if "COUNT(" in each["sql"].upper()]
    assert counting or model == "fileattempt"
    for sql in counting:
        assert re.search(r"FROM \(SELECT .* LIMIT 10001\)", sql), sql


def test_facets_cannot_be_asked_for(operator: Client, acme: Organization) -> None:
    a_failed_and_a_read(acme)
    with CaptureQueriesContext(connection) as queries:
        assert operator.get(list_of("batchfile"), {"_facets": "True"}).status_code == 200
    assert not [q for q in queries if "COUNT(" in q["sql"] and "LIMIT" not in q["sql"]]


def test_a_list_says_when_it_did_not_count_further(
    operator: Client, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "COUNT_LIMIT", 2)
    for _ in range(2):
        submit(acme, "text")
    assert "More than" not in operator.get(list_of("batchjob")).content.decode()
    submit(acme, "text")
    html = operator.get(list_of("batchjob"), {"q": "o", "made": "day"}).content.decode()
    assert "More than 2" not in html  # nothing is called so
    html = operator.get(list_of("batchfile"), {"q": ".txt"}).content.decode()
    assert "More than 2 results" in html
    assert "More than 2 batch files" in html


def test_filters(operator: Client, acme: Organization, other: Organization) -> None:
    job = a_failed_and_a_read(acme)
    foreign = submit(other, "theirs")
    failed = BatchFile.objects.get(state=State.FAILED)
    expected: dict[str, list[tuple[dict[str, object], set[str]]]] = {
        "batchjob": [
            ({"state": "partial"}, {str(job.pk)}),
            ({"operation": "ocr"}, set()),
            ({"priority": "5", "organization": "oth"}, {str(foreign.pk)}),
            ({"organization": acme.pk}, {str(job.pk)}),
            ({"organization": "nobody"}, set()),
            ({"made": "hour"}, {str(job.pk), str(foreign.pk)}),
            ({"created_by__id__exact": job.created_by_id}, {str(job.pk)}),
        ],
        "batchfile": [
            ({"error_class": "permanent"}, {failed.name}),
            ({"job__id__exact": foreign.pk}, {"1.txt"}),
            ({"job__id__exact": uuid.uuid4()}, set()),
            ({"lane": "ocr"}, set()),
            ({"job__operation": "extract", "state": "queued"}, {"1.txt"}),
        ],
        "fileattempt": [
            ({"row__id__exact": failed.pk}, {f"{failed.pk} #1"}),
            ({"outcome": "failed", "failure_class": "permanent"}, {f"{failed.pk} #1"}),
        ],
    }
    for model, cases in expected.items():
        for query, names in cases:
            assert found(operator, model, **query) == names, (model, query)


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("batchjob", {"state": "nonsense"}),
        ("batchjob", {"state": ""}),
        ("batchjob", {"made": "century"}),
        ("batchjob", {"name__regex": "^(.+)+zzz$"}),
        ("batchjob", {"name__regex": "(a"}),
        ("batchjob", {"organization__name": "Acme"}),
        ("batchfile", {"job__created_by__password__startswith": "a"}),
        ("batchfile", {"id__exact": str(uuid.uuid4())}),
        ("fileattempt", {"row__name__icontains": "a"}),
        ("fileattempt", {"outcome": "great"}),
    ],
)
def test_what_is_no_filter_of_a_list_is_refused_and_nothing_is_done(
    operator: Client, acme: Organization, model: str, query: dict[str, str]
) -> None:
    job = submit(acme, "text")
    answer = operator.get(list_of(model), query)
    if answer.status_code != 400:
        assert answer["Location"] == f"{list_of(model)}?e=1"
        shown = operator.get(answer["Location"])
        assert told(shown) == [
            "The address had filters that this list does not know: here are all."
        ]
    form = {"action": "cancel", "_selected_action": [str(job.pk)], "confirmed": "yes"}
    operator.post(f"{list_of(model)}?{urlencode(query)}", form, follow=True)
    job.refresh_from_db()
    assert job.state == "queued"


def test_the_filter_by_time_reads_the_ids(operator: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    old = uuid.UUID(int=job.pk.int - (int(timedelta(days=2).total_seconds() * 1000) << 80))
    BatchFile.objects.all().delete()
    BatchJob.objects.filter(pk=job.pk).update(id=old)
    assert found(operator, "batchjob", made="day") == set()
    assert found(operator, "batchjob", made="week") == {str(old)}


def test_a_linked_filter_names_what_it_holds_to(operator: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    BatchJob.objects.filter(pk=job.pk).update(name="Invoices of May")
    shown = operator.get(list_of("batchfile"), {"job__id__exact": job.pk}).content.decode()
    assert "By job" in shown
    assert "Invoices of May" in shown
    assert "By job" not in operator.get(list_of("batchfile")).content.decode()


def test_a_typed_filter_says_what_it_was_taken_for(
    operator: Client, acme: Organization, other: Organization
) -> None:
    html = operator.get(list_of("batchjob"), {"organization": str(acme.pk), "q": "x"})
    assert "Acme" in html.content.decode()
    assert '<input type="hidden" name="q" value="x">' in html.content.decode()
    nobody = operator.get(list_of("batchjob"), {"organization": "zzz"}).content.decode()
    assert "none has this name" in nobody
    for number in range(4):
        Organization.objects.create(name=f"Branch {number}")
    many = operator.get(list_of("batchjob"), {"organization": "branch"}).content.decode()
    assert "Branch 0, Branch 1, Branch 2 and more" in many


def test_search(operator: Client, acme: Organization, other: Organization) -> None:
    job, foreign = a_failed_and_a_read(acme), submit(other, "theirs")
    BatchJob.objects.filter(pk=foreign.pk).update(name="Deadbeef and others")
    read, failed = BatchFile.objects.filter(job=job).order_by("position")
    attempt = FileAttempt.objects.get(row=failed)
    expected = {
        "batchjob": {
            str(job.pk): {str(job.pk)},
            job.pk.hex.upper(): {str(job.pk)},
            str(failed.pk): {str(job.pk)},
            str(other.pk): {"Deadbeef and others"},
            str(uuid.uuid4()): set(),
            "Alice@example.com": {str(job.pk)},
            "nobody@example.com": set(),
            "deadbeef": {"Deadbeef and others"},
            "and o": {"Deadbeef and others"},
            "f" * 64: set(),
        },
        "batchfile": {
            str(read.pk): {read.name},
            str(read.pk)[:8]: {read.name, failed.name},
            str(read.pk)[:-3]: {read.name},
            str(job.pk): {read.name, failed.name},
            str(attempt.pk): {failed.name},
            failed.sha256.upper(): {failed.name},
            "alice@example.com": {read.name, failed.name},
            "2.TXT": {"2.txt"},
        },
        "fileattempt": {
            str(attempt.pk): {str(attempt)},
            str(failed.pk): {str(attempt)},
            str(attempt.lease_token): {str(attempt)},
            failed.sha256: {str(attempt)},
            failed.name: set(),
        },
    }
    BatchFile.objects.filter(job=foreign).update(id=uuid.uuid4())
    for model, terms in expected.items():
        assert 'id="searchbar"' in operator.get(list_of(model)).content.decode()
        for term, names in terms.items():
            assert found(operator, model, q=f" {term} ") == names, (model, term)


@pytest.mark.parametrize("model", MODELS)
def test_an_id_is_not_searched_as_text(operator: Client, acme: Organization, model: str) -> None:
    submit(acme, "text")
    with CaptureQueriesContext(connection) as queries:
        operator.get(list_of(model), {"q": str(uuid.uuid4())})
    assert not [each for each in queries if "LIKE" in each["sql"].upper()]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "query",
    [
        {"q": "a\x00b"},
        {"q": "x" * 60_000},
        {"q": "% _ ' \" \\ ("},
        {"state": "\x00", "outcome": "\x00"},
        {"organization": "x\x00"},
        {"organization": "x" * 60_000},
        {"organization__id__exact": "x"},
        {"row__id__exact": "x", "job__id__exact": "x"},
        {"nonsense": "1"},
        {"p": "99999999999999999999"},
        {"p": "x", "o": "99.-1.x", "all": "1"},
        {"id__exact": "99999999999999999999999999"},
        {"priority": "9" * 40},
    ],
)
def test_bad_input_is_no_server_error(
    operator: Client, acme: Organization, model: str, query: dict[str, str]
) -> None:
    submit(acme, "text")
    assert operator.get(list_of(model), query, follow=True).status_code in (200, 400)


@pytest.mark.parametrize("bad", ["x", "\x00", "99999999999999999999999"])
def test_bad_ids_in_an_action_are_no_server_error(
    operator: Client, acme: Organization, bad: str
) -> None:
    form = {"action": "cancel", "_selected_action": [bad], "confirmed": "yes"}
    answer = operator.post(list_of("batchjob"), form, follow=True)
    assert told(answer) == ["These ids are not valid."]
    assert operator.get(f"/admin/jobs/batchjob/{bad}/change/").status_code in (302, 404)


def test_pages_lead_from_a_job_to_its_files_to_their_attempts_and_back(
    operator: Client, acme: Organization
) -> None:
    job = a_failed_and_a_read(acme)
    BatchJob.objects.filter(pk=job.pk).update(options={"languages": ["eng"]})
    failed = BatchFile.objects.get(state=State.FAILED)
    attempt = FileAttempt.objects.get(row=failed)
    files = f"{list_of('batchfile')}?job__id__exact={job.pk}"
    attempts = f"{list_of('fileattempt')}?row__id__exact={failed.pk}"
    organization = reverse("admin:accounts_organization_change", args=[acme.pk])
    for page, expected in {
        list_of("batchjob"): [files, organization, "2 of 2"],
        page_of(job): [files, organization, "1 succeeded, 1 failed", "&quot;languages&quot;"],
        files: [page_of(failed), page_of(job), attempts],
        page_of(failed): [page_of(job), attempts, "test.failed", "It failed.", "permanent"],
        attempts: [page_of(attempt), page_of(failed), page_of(job)],
        page_of(attempt): [page_of(failed), page_of(job), "test.failed", str(attempt.lease_token)],
    }.items():
        html = operator.get(page).content.decode()
        for each in expected:
            assert each in html, (page, each)


def test_what_an_attempt_used_and_where_it_broke(operator: Client, acme: Organization) -> None:
    a_failed_and_a_read(acme)
    attempt = FileAttempt.objects.get(outcome="failed")
    FileAttempt.objects.filter(pk=attempt.pk).update(
        traceback="Traceback: <b>", peak_rss_bytes=300 * 1024 * 1024, cpu_seconds=1.25
    )
    html = operator.get(page_of(attempt)).content.decode()
    assert '<pre tabindex="0">Traceback: &lt;b&gt;</pre>' in html
    assert "300 MB" in html
    assert "1.2 s" in html


def test_durations_are_told_in_units_that_fit(operator: Client, acme: Organization) -> None:
    job = a_failed_and_a_read(acme)
    for seconds, text in ((1.5, "1.5 s"), (125, "2 min 5 s"), (7260, "2 h 1 min")):
        ended = job.started_at + timedelta(seconds=seconds)
        BatchJob.objects.filter(pk=job.pk).update(finished_at=ended)
        assert text in operator.get(page_of(job)).content.decode()


def test_what_was_read_is_told_in_short(operator: Client, acme: Organization) -> None:
    a_failed_and_a_read(acme)
    read = BatchFile.objects.get(state=State.SUCCEEDED)
    assert "1 pages, 3 words" in operator.get(page_of(read)).content.decode()


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_neither_added_changed_nor_deleted_by_hand(
    operator: Client, acme: Organization, model: str
) -> None:
    a_failed_and_a_read(acme)
    row = {"batchjob": BatchJob, "batchfile": BatchFile, "fileattempt": FileAttempt}[
        model
    ].objects.first()
    name = f"admin:jobs_{model}"
    assert operator.get(reverse(f"{name}_add")).status_code == 403
    assert operator.post(page_of(row), {"name": "other"}).status_code == 403
    assert (
        operator.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    )
    form = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    operator.post(list_of(model), form)
    assert type(row).objects.filter(pk=row.pk).exists()


def test_attempts_lead_to_their_worker_while_it_is_known(
    operator: Client, acme: Organization
) -> None:
    submit(acme, "one", "two")
    known = WorkerNode.objects.create(
        id=uuid.uuid4(), host="mill", pid=4711, lanes=["default"], slots=1
    )
    first, second = claimed(worker_id=known.pk), claimed(worker_id=uuid.uuid4())
    html = operator.get(list_of("fileattempt")).content.decode()
    page = reverse("admin:queue_workernode_change", args=[known.pk])
    assert f'<a href="{page}">mill:4711</a>' in html
    assert f"ended ({str(second.worker_id)[:8]})" in html
    shown = operator.get(page).content.decode()
    [link] = re.findall(rf"{list_of('fileattempt')}\?worker_id=[0-9a-f]+", shown)
    html = operator.get(link).content.decode()
    assert page_of(first.attempts_made.get()) in html
    assert page_of(second.attempts_made.get()) not in html
    assert "mill:4711 (<a" in html
    gone = {"worker_id": str(second.worker_id)}
    assert found(operator, "fileattempt", **gone) == {f"{second.pk} #1"}
    assert found(operator, "fileattempt", worker_id="no id") == set()


def test_a_file_shows_whom_it_waits_for_and_what_it_was_found_in(
    operator: Client, acme: Organization
) -> None:
    leader, follower = (submit(acme, "text").files.get() for _ in range(2))
    BatchFile.objects.filter(pk=follower.pk).update(waits_for=leader, is_held=True)
    assert page_of(leader) in operator.get(page_of(follower)).content.decode()
    BatchFile.objects.filter(pk=leader.pk).update(parent=follower)
    assert page_of(follower) in operator.get(page_of(leader)).content.decode()
    assert found(operator, "batchfile", is_held="True") == {follower.name}
    told = "never shared with the same bytes of others"
    assert told not in operator.get(page_of(leader)).content.decode()
    BatchFile.objects.filter(pk=leader.pk).update(work_key="")
    assert told in operator.get(page_of(leader)).content.decode()


def test_a_job_shows_who_paused_it_and_how_its_runs_ended(
    operator: Client, acme: Organization
) -> None:
    job = a_failed_and_a_read(acme)
    html = operator.get(page_of(job)).content.decode()
    assert "not paused" in html
    assert re.search(r"Run 1, [^:]*:\d\d:\d\d: partial \(1 succeeded, 1 failed\)", html)
    actor = owner_of(acme)
    waiting = submit(acme, "text")
    services.pause_job(actor=actor, job=waiting, reason="The printer smokes")
    html = operator.get(page_of(waiting)).content.decode()
    assert "The printer smokes" in html
    assert actor.user.email in html
    assert found(operator, "batchjob", state="paused") == {str(waiting.pk)}
    assert found(operator, "batchfile", state="duplicate") == set()
