"""Several jobs chosen in the list: what is done to them, what is asked first, what is told."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.models import BatchFile, BatchJob, Export
from apps.jobs.services import cancel_job, pause_job
from apps.queue.models import Priority
from tests.batches import owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.ageing import read
from tests.jobs.exporting import build_next
from tests.jobs.runs import fail_next
from tests.web.job_pages import html_of, state_of, text_of

pytestmark = pytest.mark.once

BULK = "/jobs/bulk"


@pytest.fixture
def browser(alice: User, client_for: ClientFor) -> Client:
    """Alice's."""
    return client_for(alice)


def do(browser: Client, verb: str, *jobs: BatchJob, sure: bool = False, query: str = "") -> Any:
    fields = {"verb": verb, "jobs": [str(job.pk) for job in jobs], "list": query}
    return browser.post(BULK, fields | ({"sure": "yes"} if sure else {}))


def told(answer: Any) -> list[tuple[str, str]]:
    """(level, text) of what the page that it leads to says."""
    assert answer.status_code == 302, html_of(answer)
    found = answer.client.get(answer["Location"]).context["messages"]
    return [(m.level_tag, " ".join(re.sub("<[^>]+>", " ", str(m)).split())) for m in found]


def named(organization: Organization, name: str, *texts: str, **more: Any) -> BatchJob:
    job = submit(organization, *(texts or (name,)), **more)
    BatchJob.objects.filter(pk=job.pk).update(name=name)
    job.refresh_from_db()
    return job


def states(*jobs: BatchJob) -> list[str]:
    return [state_of(job) for job in jobs]


# --- what is done -------------------------------------------------------------------------------


def test_pause_resume_and_priority(browser: Client, acme: Organization) -> None:
    jobs = [named(acme, "one"), named(acme, "two")]
    answer = do(browser, "pause", *jobs, query="state=running")
    assert answer["Location"] == "/jobs?state=running"
    assert told(answer) == [("success", "Paused: 2 jobs.")]
    assert states(*jobs) == ["paused", "paused"]
    assert told(do(browser, "resume", *jobs)) == [("success", "Resumed: 2 jobs.")]
    assert states(*jobs) == ["queued", "queued"]
    for priority in Priority:
        answer = do(browser, f"prioritize-{priority.label}", *jobs)
        assert told(answer) == [("success", f"Priority {priority.label}: 2 jobs.")]
        assert {job.priority for job in BatchJob.objects.all()} == {priority}
        assert {file.priority for file in BatchFile.objects.all()} == {priority}


def test_what_could_not_be_done_is_told_with_its_reason(
    browser: Client, acme: Organization
) -> None:
    ended = read(acme, "ended")
    paused, cancelled = named(acme, "held <b>"), named(acme, "gone")
    pause_job(actor=owner_of(acme), job=paused)
    cancel_job(actor=owner_of(acme), job=cancelled)
    waiting = named(acme, "waiting")
    answer = do(browser, "pause", ended, paused, cancelled, waiting)
    assert told(answer) == [
        (
            "warning",
            "Paused: 1 job. 3 could not be: 1.txt , gone : There is nothing left to pause. "
            "held &lt;b&gt; : It is paused already, or being cancelled.",
        )
    ]
    assert states(ended, paused, cancelled, waiting) == [
        *("succeeded", "paused", "cancelled", "paused")
    ]
    html = html_of(browser.get(do(browser, "pause", paused)["Location"]))
    assert "<li><bdi>held &lt;b&gt;</bdi>: It is paused already" in html


def test_where_nothing_could_be_done_it_is_an_error(browser: Client, acme: Organization) -> None:
    job = named(acme, "waiting")
    assert told(do(browser, "resume", job)) == [
        ("error", "Resumed: no jobs. 1 could not be: waiting : Nothing of it is paused.")
    ]
    assert told(do(browser, "retry", job)) == [
        (
            "error",
            "Run again: no jobs. 1 could not be: waiting : "
            "Wait for the job to finish, or cancel it first.",
        )
    ]


def test_files_that_were_paused_one_by_one_go_on_too(browser: Client, acme: Organization) -> None:
    job = named(acme, "job", "a", "b")
    pause_job(actor=owner_of(acme), job=job, only=[job.files.order_by("pk")[0]])
    assert told(do(browser, "resume", job)) == [("success", "Resumed: 1 job.")]
    assert not job.files.filter(is_held=True).exists()


def test_retry(browser: Client, acme: Organization) -> None:
    failed = named(acme, "failed", "a")
    fail_next()
    done = read(acme, "b")
    answer = do(browser, "retry", failed, done)
    assert told(answer)[0] == (
        "warning",
        "Run again: 1 job. 1 could not be: 1.txt : No file of this job failed or was cancelled.",
    )
    assert states(failed, done) == ["queued", "succeeded"]


def test_many_with_the_same_reason_are_counted(browser: Client, acme: Organization) -> None:
    jobs = [named(acme, f"job {number}") for number in range(7)]
    for job in jobs:
        cancel_job(actor=owner_of(acme), job=job)
    [(_, text)] = told(do(browser, "pause", *jobs))
    assert "7 could not be: job 0 , job 1 , job 2 , job 3 , job 4 and 2 more: There" in text


# --- what is asked first --------------------------------------------------------------------------


def test_cancel_asks_with_numbers(browser: Client, acme: Organization) -> None:
    ended = read(acme, "ended")
    jobs = [named(acme, "one", "a", "b"), named(acme, "two")]
    html = html_of(do(browser, "cancel", *jobs, ended, query="state=running"))
    assert "<h1>Cancel 2 jobs?</h1>" in html
    assert "3 files in all." in html
    assert "1 more was chosen and stays as it is: what cannot be cancelled, or not by you." in html
    assert re.findall(r"<li><bdi>(.*?)</bdi></li>", html) == ["one", "two"]
    assert 'href="/jobs?state=running"' in html
    assert states(*jobs) == ["queued", "queued"]
    assert str(ended.pk) not in html
    fields = dict(re.findall(r'name="(verb|sure|list)" value="(.*?)"', html))
    answer = browser.post(BULK, fields | {"jobs": re.findall(r'name="jobs" value="(.*?)"', html)})
    assert answer["Location"] == "/jobs?state=running"
    assert told(answer) == [("success", "Cancelled: 2 jobs.")]
    assert states(*jobs, ended) == ["cancelled", "cancelled", "succeeded"]


def test_delete_asks_with_numbers_and_tells_what_goes_too(
    browser: Client, acme: Organization
) -> None:
    jobs = [read(acme, "one", "two"), read(acme, "three")]
    browser.post("/exports", {"format": "csv", "jobs": [str(job.pk) for job in jobs]})
    waiting = named(acme, "waiting")
    html = html_of(do(browser, "delete", *jobs, waiting))
    assert "<h1>Delete 2 jobs?</h1>" in html
    assert "2 jobs with 3 files and all results: removed for good." in html
    assert "What was built of them goes too: 1 export." in html
    assert BatchJob.objects.count() == 3
    answer = do(browser, "delete", *jobs, waiting, sure=True)
    assert told(answer) == [
        (
            "warning",
            "Deleted: 2 jobs. 1 could not be: waiting : "
            "Cancel the job first, or wait for it to finish.",
        )
    ]
    assert list(BatchJob.objects.all()) == [waiting]
    assert not Export.objects.exists()


def test_a_long_list_of_names_is_cut_in_the_question(browser: Client, acme: Organization) -> None:
    jobs = [named(acme, f"job {number:02}") for number in range(12)]
    html = html_of(do(browser, "cancel", *jobs))
    assert "job 09" in html
    assert "job 10" not in html
    assert "and 2 more" in html
    assert html.count('name="jobs"') == 12


def test_nothing_is_asked_about_what_cannot_be_done(browser: Client, acme: Organization) -> None:
    ended, waiting = read(acme, "ended"), named(acme, "waiting")
    nothing = "None of the chosen jobs can be {}. Nothing was changed."
    assert told(do(browser, "delete", waiting)) == [("error", nothing.format("deleted"))]
    assert told(do(browser, "cancel", ended)) == [("error", nothing.format("cancelled"))]
    assert states(waiting, ended) == ["queued", "succeeded"]


# --- what is chosen -------------------------------------------------------------------------------


def test_choosing_nothing(browser: Client, acme: Organization) -> None:
    for verb in ("pause", "delete"):
        answer = do(browser, verb, query="q=x")
        assert answer["Location"] == "/jobs?q=x"
        assert told(answer) == [("warning", "Choose at least one job first.")]


def test_what_is_not_there_is_left_out(
    browser: Client, acme: Organization, other: Organization
) -> None:
    mine, foreign = named(acme, "mine"), named(other, "foreign")
    nowhere = BatchJob(pk=uuid4())
    gone = "1 could not be: 1 job: Not there any more."
    assert told(do(browser, "pause", mine, foreign)) == [("warning", f"Paused: 1 job. {gone}")]
    assert told(do(browser, "resume", mine, nowhere)) == [("warning", f"Resumed: 1 job. {gone}")]
    nothing = [("error", "None of the chosen jobs is there any more. Nothing was changed.")]
    for verb in ("pause", "cancel", "delete"):
        for job in (foreign, nowhere):
            assert told(do(browser, verb, job, sure=True)) == nothing, verb
    assert states(mine, foreign) == ["queued", "queued"]


def test_no_more_than_a_page_and_only_what_there_is(browser: Client, acme: Organization) -> None:
    job = named(acme, "job")
    assert do(browser, "pause", *(BatchJob(pk=uuid4()) for _ in range(51))).status_code == 400
    assert browser.post(BULK, {"verb": "pause", "jobs": "x"}).status_code == 400
    for verb in ("x", "requeue", "discard", "let-go"):
        assert do(browser, verb, job).status_code == 400, verb
    assert states(job) == ["queued"]


def test_enter_in_a_box_does_nothing(browser: Client, acme: Organization) -> None:
    job = named(acme, "job")
    form = html_of(browser.get("/jobs")).partition('<form id="bulk"')[2]
    first = re.search(r"<button [^>]*>", form)
    assert first is not None, "a browser presses the first button"
    assert first[0] == '<button name="verb" value="" hidden>'
    nothing = [("warning", "Press what is to be done with the selected jobs.")]
    assert told(do(browser, "", job)) == nothing
    assert states(job) == ["queued"]


def test_its_address_alone_leads_to_the_list(browser: Client, acme: Organization) -> None:
    """Whoever chooses other colours beside the question comes back to it without its form."""
    assert browser.get(BULK)["Location"] == "/jobs"
    assert browser.put(BULK).status_code == 405


def test_it_leads_back_to_the_list_and_nowhere_else(browser: Client, acme: Organization) -> None:
    answer = do(browser, "pause", named(acme, "job"), query="//evil.example/?a=b&c#d\r\nX: y")
    assert answer["Location"].startswith("/jobs?")
    assert "X" not in answer


# --- who ------------------------------------------------------------------------------------------


def test_readers_choose_nothing(bob: User, client_for: ClientFor, acme: Organization) -> None:
    browser = client_for(bob)
    job = named(acme, "job")
    html = html_of(browser.get("/jobs"))
    assert 'name="jobs"' not in html
    assert "<form" not in html.partition('id="list"')[2]
    for verb in ("pause", "cancel", "delete"):
        assert do(browser, verb, job, sure=True).status_code == 403
    assert browser.post("/exports", {"format": "zip", "jobs": str(job.pk)}).status_code == 403
    assert states(job) == ["queued"]
    assert not Export.objects.exists()


def test_contributors_change_only_what_they_made(client_for: ClientFor, acme: Organization) -> None:
    dora = create_user(email="dora@example.com", password=None, name="")
    add_member(organization=acme, user=dora, role=Role.CONTRIBUTOR)
    browser = client_for(dora)
    own, others = named(acme, "own"), named(acme, "others")
    BatchJob.objects.filter(pk=own.pk).update(created_by=dora)
    BatchJob.objects.filter(pk=others.pk).update(created_by=None)
    assert html_of(browser.get("/jobs")).count('name="jobs"') == 2
    [(level, text)] = told(do(browser, "pause", own, others))
    assert level == "warning"
    assert text.startswith("Paused: 1 job. 1 could not be: others : Your role here, contributor")
    assert "<h1>Cancel 1 job?</h1>" in html_of(do(browser, "cancel", own, others))
    [(_, text)] = told(do(browser, "cancel", own, others, sure=True))
    assert text.startswith("Cancelled: 1 job. 1 could not be: others : Your role")
    assert states(own, others) == ["cancelled", "queued"]


def test_a_form_of_another_site_does_nothing(alice: User, acme: Organization) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    job = named(acme, "job")
    assert do(browser, "pause", job).status_code == 403
    assert states(job) == ["queued"]


# --- the list -------------------------------------------------------------------------------------


def test_the_list_has_a_box_for_each_job_and_a_form_that_knows_its_place(
    browser: Client, acme: Organization
) -> None:
    jobs = [named(acme, "one"), named(acme, "two")]
    html = html_of(browser.get("/jobs?state=running&q=o"))
    boxes = re.findall(r'<input type="checkbox" name="jobs" form="bulk" value="(.*?)"', html)
    assert boxes == [str(job.pk) for job in reversed(jobs)]
    assert 'aria-label="Select one"' in html
    assert "Select all on this page" in html
    assert '<input type="hidden" name="list" form="bulk" value="state=running&amp;q=o">' in html
    verbs = re.findall(r'<button [^>]*name="verb" value="(.*?)"', html)
    assert sorted(verbs) == sorted(
        ["", "pause", "resume", "retry", "cancel", "delete"]
        + [f"prioritize-{each.label}" for each in Priority]
    )
    assert html_of(browser.get("/jobs?q=nothing-like-it")).count('name="jobs"') == 0


def test_rows_are_told_apart_so_that_boxes_stay_with_their_jobs(
    browser: Client, acme: Organization
) -> None:
    job = named(acme, "one")
    html = html_of(browser.get("/jobs"))
    assert f'<tr role="row" id="row-{job.pk}">' in html
    assert 'hx-ext="morph"' in html.partition('<div id="list"')[2].partition(">")[0]


# --- exports --------------------------------------------------------------------------------------


def test_an_export_of_several_jobs(browser: Client, acme: Organization) -> None:
    jobs = [read(acme, "one"), read(acme, "two")]
    ids = [str(job.pk) for job in jobs]
    answer = browser.post("/exports", {"format": "zip", "jobs": ids, "list": "", "csrf": "x"})
    assert answer["Location"] == "/exports"
    said = "ZIP of 2 jobs is being built. You can leave this page."
    assert told(answer) == [("success", said)]
    export = Export.objects.get()
    assert set(export.jobs.all()) == set(jobs)
    build_next()
    assert told(browser.post("/exports", {"format": "zip", "jobs": ids})) == [
        ("success", "ZIP of 2 jobs is there already.")
    ]
    assert Export.objects.get() == export
    text = text_of(html_of(browser.get("/exports")))
    assert "1.txt and 1 more job ZIP. Ready" in text


def test_an_export_of_what_is_not_there(
    browser: Client, acme: Organization, other: Organization
) -> None:
    mine, foreign = read(acme, "mine"), named(other, "foreign")
    answer = browser.post("/exports", {"format": "zip", "jobs": str(foreign.pk), "list": "q=x"})
    assert answer["Location"] == "/jobs?q=x"
    assert told(answer)[0][0] == "error"
    assert browser.post("/exports", {"format": "exe", "jobs": str(mine.pk)}).status_code == 404
    assert told(browser.post("/exports", {"format": "zip"}))[0][0] == "warning"
    assert not Export.objects.exists()
    answer = browser.post("/exports", {"format": "zip", "jobs": [str(mine.pk), str(foreign.pk)]})
    assert told(answer)[1] == ("warning", "1 job of them: not there any more.")
    assert list(Export.objects.get().jobs.all()) == [mine]
