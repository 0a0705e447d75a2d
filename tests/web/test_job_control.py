"""What else can be done on the page of one job: pause, resume, priority, requeue, keep, discard."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchJob
from apps.jobs.services import cancel_job, pause_job, requeue_job
from apps.queue.pauses import pause
from apps.queue.settle import succeed
from tests.batches import Scripted, claimed, owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.runs import fail_next, read_next
from tests.operators import operator_in
from tests.web.job_pages import html_of, shown, state_of, text_of, url

pytestmark = pytest.mark.once


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def post(browser: Client, job: BatchJob, action: str, **fields: str) -> list[str]:
    """What the job's page says after the form was sent."""
    answer = browser.post(url(job, action), fields, follow=True)
    assert answer.redirect_chain == [(url(job), 302)], answer.content
    return messages_of(answer)


def offered(html: str, job: BatchJob) -> set[str]:
    """Everything on the page that does something to the job."""
    return set(re.findall(rf'(?:action|href)="{url(job)}/([a-z]+)"', html))


def a_job(acme: Organization, *outcomes: str) -> BatchJob:
    """A job of so many files, each read or failed; with "waits" the rest is not started."""
    job = submit(acme, *(f"text {number}" for number in range(len(outcomes))))
    for outcome in outcomes:
        if outcome == "waits":
            break
        {"read": read_next, "failed": fail_next}[outcome]()
    return job


def test_pause_asks_for_a_reason_and_everybody_reads_it(
    alice_web: Client, acme: Organization, bob: User, client_for: ClientFor
) -> None:
    job = a_job(acme, "read", "waits")
    html = html_of(alice_web.get(url(job, "pause")))
    assert "<h1>Pause this job?</h1>" in html
    assert 'name="reason" maxlength="200"' in html
    assert state_of(job) == "running"
    assert post(alice_web, job, "pause", reason="<b>Wrong</b> scans") == [
        "Paused: nothing new of the job starts until it is resumed."
    ]
    assert state_of(job) == "paused"
    for browser in (alice_web, client_for(bob)):
        text = text_of(shown(browser, job))
        assert "The job is paused by Alice &lt;b&gt;Wrong&lt;/b&gt; scans" in text
        assert "Nothing new starts. What runs goes on to its end." in text
        assert "left" not in text
    states = re.findall(r'class="state" data-state="(\w+)"', shown(alice_web, job))
    assert states == ["paused", "succeeded", "paused"]
    assert post(alice_web, job, "resume") == ["The job goes on."]
    assert state_of(job) == "running"
    assert 'id="paused"' not in shown(alice_web, job)


def test_news_tell_of_a_pause(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    before = shown(alice_web, job)
    address = re.search(r'hx-get="([^"]+)"', before)
    assert address
    pause_job(actor=operator_in(acme), job=job, reason="Moving house")
    news = html_of(alice_web.get(address[1].replace("&amp;", "&"), headers={"HX-Request": "true"}))
    assert "The job is paused by an operator Moving house" in text_of(news).replace("<bdi>", "")
    assert 'role="status" id="news">The job is paused.' in news


@pytest.mark.parametrize(
    ("lane", "is_own", "told"),
    [
        ("", False, "Everything is paused by an operator"),
        ("default", False, "The lane default is paused by an operator"),
        ("", True, "The organization is paused by Alice"),
        ("default", True, "The organization is paused in the lane default by Alice"),
        ("ocr", False, ""),
    ],
)
def test_a_pause_of_the_queue_is_told_where_it_holds_something(
    alice_web: Client, acme: Organization, alice: User, lane: str, is_own: bool, told: str
) -> None:
    job = a_job(acme, "read", "waits")
    by = alice if is_own else operator_in(acme).user
    pause(by=by, lane=lane, organization=acme if is_own else None, reason="Because")
    html = shown(alice_web, job)
    assert ('id="paused"' in html) == bool(told)
    assert told in text_of(html)
    assert ("Because" in html) == bool(told)
    cancel_job(actor=owner_of(acme), job=job)
    assert 'id="paused"' not in shown(alice_web, job), "nothing of it waits"


def test_two_pauses_are_told_together(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    pause_job(actor=owner_of(acme), job=job, reason="<b>Wrong</b> scans")
    pause(by=None, lane="default", reason="Storage failed")
    text = text_of(shown(alice_web, job))
    assert "Paused The job is paused by Alice : &lt;b&gt;Wrong&lt;/b&gt; scans" in text
    assert "The lane default is paused: Storage failed" in text


def test_priority(alice_web: Client, acme: Organization) -> None:
    job = submit(acme, "text")
    assert "<option selected>normal</option>" in shown(alice_web, job)
    assert post(alice_web, job, "priority", priority="high") == ["The job has high priority now."]
    job.refresh_from_db()
    assert job.priority == 0
    html = shown(alice_web, job)
    assert "<option selected>high</option>" in html
    assert "high priority" in text_of(html)
    for bad in ({"priority": "urgent"}, {}):
        answer = alice_web.post(url(job, "priority"), bad)
        assert answer.status_code == 400
        assert "priority" in text_of(answer.content.decode())


def test_requeue_asks_first(alice_web: Client, acme: Organization) -> None:
    job = a_job(acme, "read", "read")
    html = html_of(alice_web.get(url(job, "requeue")))
    assert "<h1>Read everything again?</h1>" in html
    assert "All of its 2 files are read again" in html
    assert state_of(job) == "succeeded"
    assert post(alice_web, job, "requeue") == ["Every file is read again."]
    assert state_of(job) == "queued"
    answer = alice_web.get(url(job, "requeue"), follow=True)
    assert answer.redirect_chain == [(url(job), 302)]
    assert "Cancel the job first" in messages_of(answer)[0]


def test_keep_and_let_go(alice_web: Client, acme: Organization) -> None:
    job = a_job(acme, "read")
    assert "results kept until" in text_of(shown(alice_web, job))
    assert post(alice_web, job, "keep", kept="true") == ["Kept: cleanup leaves the job alone."]
    text = text_of(shown(alice_web, job))
    assert "kept until somebody lets go of it" in text
    assert "results kept until" not in text
    [told] = post(alice_web, job, "keep", kept="false")
    assert told.startswith("Let go: cleanup may remove the job after ")
    assert alice_web.post(url(job, "keep"), {"kept": "perhaps"}).status_code == 400
    assert alice_web.post(url(job, "keep")).status_code == 400


def test_what_is_discarded_leaves_what_failed_lately(alice_web: Client, acme: Organization) -> None:
    job = a_job(acme, "failed")
    link = f'id="failed-{job.pk}"'
    assert link in alice_web.get("/").content.decode()
    assert post(alice_web, job, "discard") == [
        "Discarded: the job is left out of what failed lately."
    ]
    assert link not in alice_web.get("/").content.decode()
    html = shown(alice_web, job)
    assert "discarded" in text_of(html)
    assert "discard" not in offered(html, job)
    assert str(job.pk) in alice_web.get("/jobs?state=failed").content.decode()


def test_conflicts_are_told_on_the_page(alice_web: Client, acme: Organization) -> None:
    job = a_job(acme, "read")
    assert post(alice_web, job, "pause") == ["There is nothing left to pause."]
    assert post(alice_web, job, "resume") == ["There is nothing left to resume."]
    assert post(alice_web, job, "discard") == ["No file of this job failed."]
    assert post(alice_web, job, "priority", priority="high") == ["There is nothing left to move."]
    requeue_job(actor=owner_of(acme), job=job)
    assert post(alice_web, job, "requeue") == ["Wait for the job to finish, or cancel it first."]
    assert post(alice_web, job, "discard") == ["Wait for the job to finish, or cancel it first."]
    answer = alice_web.post(url(job, "pause"), {"reason": "x" * 201})
    assert answer.status_code == 400


# --- what is offered ------------------------------------------------------------------------------

ALWAYS = {"keep"}
OPEN = ALWAYS | {"pause", "priority", "cancel"}
CLOSED = ALWAYS | {"requeue", "delete"}


def test_the_state_decides_what_is_offered(alice_web: Client, acme: Organization) -> None:
    # Dialogs hold what the page may come to ask, so only what is in the moving part counts.
    def now(job: BatchJob) -> set[str]:
        return offered(shown(alice_web, job).split("<dialog")[0], job)

    job = submit(acme, "text")
    assert now(job) == OPEN
    pause_job(actor=owner_of(acme), job=job)
    assert now(job) == OPEN - {"pause"} | {"resume"}
    post(alice_web, job, "resume")
    pause_job(actor=owner_of(acme), job=job, only=list(job.files.all()))
    assert now(job) == OPEN | {"resume"}
    post(alice_web, job, "resume")
    file = claimed()
    alice_web.post(url(job, "cancel"))
    assert now(job) == ALWAYS
    assert succeed(BatchFileHandler, file, Scripted().read("late"))
    done = a_job(acme, "read")
    assert now(done) == CLOSED
    failed = a_job(acme, "failed")
    assert now(failed) == CLOSED | {"retry", "discard"}


def test_readers_see_who_paused_and_can_do_nothing(
    acme: Organization, bob: User, client_for: ClientFor
) -> None:
    carol = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    waiting = submit(acme, "text")
    pause_job(actor=owner_of(acme), job=waiting)
    for browser in (client_for(bob), client_for(carol)):
        assert offered(shown(browser, waiting), waiting) == set()
        for action in ("pause", "resume", "priority", "requeue", "keep", "discard"):
            answer = browser.post(url(waiting, action), {"priority": "high", "kept": "true"})
            assert answer.status_code == 403, action
        for action in ("pause", "requeue", "cancel", "delete"):
            assert browser.get(url(waiting, action)).status_code == 403, action
    assert state_of(waiting) == "paused"


def test_forms_need_their_token(alice: User, client_for: ClientFor, acme: Organization) -> None:
    job = submit(acme, "text")
    strict = client_for(alice)
    strict.handler.enforce_csrf_checks = True
    for action in ("pause", "resume", "priority", "requeue", "keep", "discard"):
        answer = strict.post(url(job, action), {"priority": "high", "kept": "true"})
        assert answer.status_code == 403, action
    for action in ("resume", "priority", "keep", "discard", "retry"):
        assert strict.get(url(job, action)).status_code == 405, action
    job.refresh_from_db()
    assert (job.state, job.priority, job.is_kept) == ("queued", 5, False)
