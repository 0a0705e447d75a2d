"""What is done to a job from its page besides cancelling, retrying and deleting it."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.formats import date_format
from django.views.decorators.http import require_POST

from apps.accounts.actor import Actor
from apps.jobs.changes import read_change, read_reason
from apps.jobs.models import BatchJob
from apps.jobs.reading import job_of
from apps.jobs.services import (
    discard_job,
    keep_job,
    pause_job,
    prioritize_job,
    requeue_job,
    resume_job,
)
from apps.jobs.states import CLOSED, OPEN
from apps.queue.models import Priority
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.job import ask, asking, done, given
from apps.web.questions import pause_question, requeue_question


@asking
@limited("api")
@members_only
def pause(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Asks for a reason, then pauses. Raises NotFound, Forbidden or InvalidInput."""
    found = _to_update(actor, job_id)
    if request.method == "POST":
        reason = read_reason(given(request, "reason"))
        return done(request, found, lambda: _paused(actor, found, reason))
    if found.state in CLOSED:
        messages.info(request, "The job is finished: there is nothing left to pause.")
        return redirect("web:job", found.pk)
    return ask(request, found, pause_question(found))


@require_POST
@limited("api")
@members_only
def resume(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    found = _to_update(actor, job_id)
    return done(request, found, lambda: _resumed(actor, found))


@require_POST
@limited("api")
@members_only
def prioritize(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Raises NotFound, Forbidden or InvalidInput."""
    found = _to_update(actor, job_id)
    fields = given(request, "priority")
    priority = read_change(fields, known=frozenset({"priority"})).priority
    assert priority is not None  # the only field that there may be
    return done(request, found, lambda: _moved(actor, found, priority))


@asking
@limited("api")
@members_only
def requeue(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Asks, then reads everything again. Raises NotFound or Forbidden."""
    found = _to_update(actor, job_id)
    if request.method == "POST":
        return done(request, found, lambda: _requeued(actor, found))
    if found.state in OPEN:
        messages.info(request, "Cancel the job first, or wait for it to finish.")
        return redirect("web:job", found.pk)
    return ask(request, found, requeue_question(found))


@require_POST
@limited("api")
@members_only
def keep(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Raises NotFound, Forbidden or InvalidInput."""
    found = _to_update(actor, job_id)
    fields = given(request, "kept")
    kept = read_change(fields, known=frozenset({"kept"}), is_form=True).kept
    assert kept is not None  # the only field that there may be
    return done(request, found, lambda: _kept(actor, found, kept))


@require_POST
@limited("api")
@members_only
def discard(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Raises NotFound or Forbidden."""
    found = _to_update(actor, job_id)
    return done(request, found, lambda: _discarded(actor, found))


def _to_update(actor: Actor, job_id: UUID) -> BatchJob:
    found = job_of(actor, job_id)
    actor.require("update", "jobs", created_by_id=found.created_by_id)
    return found


def _paused(actor: Actor, found: BatchJob, reason: str) -> str:
    pause_job(actor=actor, job=found, reason=reason)
    return "Paused: nothing new of the job starts until it is resumed."


def _resumed(actor: Actor, found: BatchJob) -> str:
    resume_job(actor=actor, job=found)
    return "The job goes on."


def _moved(actor: Actor, found: BatchJob, priority: Priority) -> str:
    prioritize_job(actor=actor, job=found, priority=priority)
    return f"The job has {priority.label} priority now."


def _requeued(actor: Actor, found: BatchJob) -> str:
    requeue_job(actor=actor, job=found)
    return "Every file is read again."


def _kept(actor: Actor, found: BatchJob, kept: bool) -> str:
    if keep_job(actor=actor, job=found, kept=kept).is_kept:
        return "Kept: cleanup leaves the job alone."
    return f"Let go: cleanup may remove the job after {date_format(found.expires_at, 'j M Y')}."


def _discarded(actor: Actor, found: BatchJob) -> str:
    discard_job(actor=actor, job=found)
    return "Discarded: the job is left out of what failed lately."
