"""What is done to one file from its page: paused, resumed, cancelled, run again."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.actor import Actor
from apps.jobs.changes import read_reason
from apps.jobs.errors import BatchesOff, FileRunning, JobFinished, JobUnfinished, NothingToRetry
from apps.jobs.models import BatchFile
from apps.jobs.reading import file_of
from apps.jobs.services import cancel_job, pause_job, requeue_job, resume_job, retry_job
from apps.queue.states import READY, State
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.job import asking, given, title_of
from apps.web.questions import pause_file_question


@asking
@limited("api")
@members_only
def pause(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """Asks for a reason, then pauses. Raises NotFound, Forbidden or InvalidInput."""
    found = file_of(actor, file_id)
    actor.require("update", "jobs", created_by_id=found.job.created_by_id)
    if request.method == "POST":
        reason = read_reason(given(request, "reason"))
        return _done(request, found, lambda: _paused(actor, found, reason))
    if found.state not in READY:
        ended = "The file is finished: there is nothing left to pause."
        runs = "It is being read. Cancel it, or wait for its end."
        messages.info(request, runs if found.state == State.RUNNING else ended)
        return redirect("web:file", found.pk)
    crumbs = [
        (reverse("web:job", args=[found.job_id]), title_of(found.job)),
        (reverse("web:file", args=[found.pk]), found.name),
    ]
    context = {"crumbs": crumbs, "question": pause_file_question(found)}
    return render(request, "web/confirm.html", context)


@require_POST
@limited("api")
@members_only
def resume(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """Lets the file go on alone. Raises NotFound or Forbidden."""
    return _do(request, actor, file_id, resume_job, "The file goes on.")


@require_POST
@limited("api")
@members_only
def cancel(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """Stops the file alone. Raises NotFound or Forbidden."""
    told = "Cancelled: if it runs, it stops within seconds."
    return _do(request, actor, file_id, cancel_job, told)


@require_POST
@limited("api")
@members_only
def retry(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """Runs the file again. Raises NotFound or Forbidden."""
    return _do(request, actor, file_id, retry_job, "The file is in line again.")


@require_POST
@limited("api")
@members_only
def requeue(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """The same of a file that was read, or has the result of another."""
    return _do(request, actor, file_id, requeue_job, "The file is in line to be read again.")


def _do(
    request: HttpRequest, actor: Actor, file_id: UUID, verb: Callable[..., object], told: str
) -> HttpResponse:
    found = file_of(actor, file_id)

    def change() -> str:
        verb(actor=actor, job=found.job, only=[found])
        return told

    return _done(request, found, change)


def _done(request: HttpRequest, found: BatchFile, change: Callable[[], str]) -> HttpResponse:
    """Makes the change and says on the file's page what came of it, which `change` returns."""
    try:
        messages.success(request, change())
    except (BatchesOff, FileRunning, JobFinished, JobUnfinished, NothingToRetry) as refusal:
        messages.error(request, refusal.detail)
    return redirect("web:file", found.pk)


def _paused(actor: Actor, found: BatchFile, reason: str) -> str:
    pause_job(actor=actor, job=found.job, reason=reason, only=[found])
    return "Paused: it waits to be resumed."
