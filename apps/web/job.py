"""The page of one job, its news, and what can be done with it."""

import time
from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.actor import Actor
from apps.jobs.errors import (
    BatchesOff,
    JobFinished,
    JobUnfinished,
    NothingToDiscard,
    NothingToRetry,
)
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.naming import job_title
from apps.jobs.reading import job_of
from apps.jobs.services import cancel_job, delete_job, retry_job
from apps.jobs.states import CLOSED, OPEN, JobState
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.downloads import has_moved
from apps.web.job_page import JobPage
from apps.web.questions import Question, cancel_question, delete_question

REDRAWN_AFTER_SECONDS = 10
"""How old an unchanged page of an open job becomes. Its place in line, the workers and the time
that is left change without the job."""

CONFLICTS = (BatchesOff, JobFinished, JobUnfinished, NothingToDiscard, NothingToRetry)
"""What happens when batches are off, or the job went on while somebody looked at an older page."""

asking = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@limited("api")
@members_only
def job(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """The page; `state` shows only the files in it, `page` more of them. Raises NotFound."""
    page = _page(request, actor, job_of(actor, job_id))
    return render(request, "web/job.html", {"page": page})


@require_safe
@limited("live")
@members_only
def live(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """The moving part of the page, or 204 when `revision` is still the latest. Raises NotFound.

    Nothing older than what is shown is ever sent. `at` is when that was drawn, in seconds.
    """
    found = job_of(actor, job_id)
    if not _has_news(request, found):
        return HttpResponse(status=204)
    return render(request, "web/_job_live.html", {"page": _page(request, actor, found)})


@asking
@limited("api")
@members_only
def cancel(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Asks, then cancels. Raises NotFound or Forbidden."""
    found = job_of(actor, job_id)
    actor.require("update", "jobs", created_by_id=found.created_by_id)
    if request.method == "POST":
        return done(request, found, lambda: _cancelled(actor, found))
    if found.state in CLOSED:
        messages.info(request, "The job is finished: there is nothing left to cancel.")
        return redirect("web:job", found.pk)
    return ask(request, found, cancel_question(found))


@require_POST
@limited("api")
@members_only
def retry(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Runs again what failed or was cancelled. Raises NotFound or Forbidden."""
    found = job_of(actor, job_id)
    return done(request, found, lambda: _retried(actor, found))


@asking
@limited("api")
@members_only
def delete(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Asks, then deletes and goes to the list. Raises NotFound or Forbidden."""
    found = job_of(actor, job_id)
    actor.require("delete", "jobs", created_by_id=found.created_by_id)
    if request.method == "POST":
        told = f"Deleted: {title_of(found)}."
        return done(request, found, lambda: _deleted(actor, found, told), to_list=True)
    if found.state in OPEN:
        messages.info(request, "Cancel the job first, or wait for it to finish.")
        return redirect("web:job", found.pk)
    return ask(request, found, delete_question(found))


def _page(request: HttpRequest, actor: Actor, found: BatchJob) -> JobPage:
    chosen, number = request.GET.get("state", ""), request.GET.get("page", "")
    return JobPage(found, actor, chosen=chosen, number=number)


def _has_news(request: HttpRequest, found: BatchJob) -> bool:
    known, drawn_at = _number(request, "revision"), _number(request, "at")
    if found.revision != known:
        return found.revision > known
    if "exports" in request.GET and has_moved(found, request.GET["exports"]):
        return True
    age = time.time() - drawn_at if drawn_at else 0
    return found.state in OPEN and not 0 <= age < REDRAWN_AFTER_SECONDS


def _number(request: HttpRequest, name: str) -> int:
    """A parameter as a whole number; 0 for what is none."""
    try:
        return int(request.GET.get(name, ""))
    except ValueError:
        return 0


def given(request: HttpRequest, name: str) -> dict[str, str]:
    """That field of the form, if it is there."""
    return {name: request.POST[name]} if name in request.POST else {}


def ask(request: HttpRequest, found: BatchJob, question: Question) -> HttpResponse:
    """The question on a page of its own, for who has no script."""
    context = {"crumbs": [(question.back, title_of(found))], "question": question}
    return render(request, "web/confirm.html", context)


def done(
    request: HttpRequest, found: BatchJob, change: Callable[[], str], *, to_list: bool = False
) -> HttpResponse:
    """Makes the change and says what came of it, which `change` returns."""
    try:
        messages.success(request, change())
    except CONFLICTS as conflict:
        messages.error(request, str(conflict))
        to_list = False
    return redirect("web:jobs") if to_list else redirect("web:job", found.pk)


def _cancelled(actor: Actor, found: BatchJob) -> str:
    state = cancel_job(actor=actor, job=found).state
    running = "Cancelling: what runs stops within seconds."
    return running if state == JobState.CANCELLING else "The job is cancelled."


def _retried(actor: Actor, found: BatchJob) -> str:
    retry_job(actor=actor, job=found)
    return "What failed or was cancelled runs again."


def _deleted(actor: Actor, found: BatchJob, told: str) -> str:
    delete_job(actor=actor, job=found)
    return told


def title_of(found: BatchJob) -> str:
    """What the job is called."""
    first = BatchFile.objects.filter(job=found).order_by("position").first()
    return job_title(found.name, first.name if first else "", found.total)
