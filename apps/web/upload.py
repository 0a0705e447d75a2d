"""The page that takes files: by its script through the API, and without a script by itself."""

from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden
from apps.core.errors import DocmillError
from apps.jobs import storage
from apps.jobs.counting import WITHIN, BatchCount, counting
from apps.jobs.errors import BatchesOff, IdempotencyMismatch, NoFiles
from apps.jobs.services import Replayable, submit_once
from apps.jobs.submission import check_key, fingerprint, read_submission
from apps.jobs.upload import check_length, receive
from apps.ratelimits.decorators import limited
from apps.ratelimits.guard import guarded
from apps.web.access import members_only
from apps.web.upload_form import NewJobForm, api_fields

ROUTE = "web.new-job"


class NotFromHere(Exception):
    """The form does not prove that it comes from a page of this site; `answer` says so."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__(answer.reason_phrase)
        self.answer = answer


class WorksElsewhere(DocmillError):
    """The person switched to another organization after the page was opened."""

    code = "batch.elsewhere"
    status = HTTPStatus.CONFLICT
    title = "You work in another organization now"


# Exempt from the middleware alone: it would look for the token in a body that it has read whole,
# into temporary files. `_check_token` asks for the same one before the first file.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@guarded("upload")
@limited("api", within=WITHIN)
@members_only
def new_job(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The form of a new job, and what makes the job of it. Raises Forbidden for readers."""
    if not actor.may("create", "jobs"):
        raise Forbidden(
            f"Your role in {actor.organization.name} is {actor.role}: you can look at its jobs but "
            "not submit any. An owner or admin can give you another role."
        )
    if not settings.ENABLE_BATCH:
        return _page(request, NewJobForm(error=BatchesOff() if request.method == "POST" else None))
    return _submit(request, actor) if request.method == "POST" else _page(request, NewJobForm())


def _page(request: HttpRequest, form: NewJobForm) -> HttpResponse:
    error = form.error
    response = render(
        request, "web/new_job.html", {"form": form}, status=error.status if error else 200
    )
    if error and error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def _submit(request: HttpRequest, actor: Actor) -> HttpResponse:
    given: dict[str, str] = {}
    try:
        answer, is_replay = _take(request, actor, given)
    except NotFromHere as refused:
        return refused.answer
    except DocmillError as error:
        return _page(request, NewJobForm(given, error))
    if is_replay:
        messages.info(request, "These files were sent before. This is the job they became.")
    return HttpResponseRedirect(reverse("web:job", args=[answer["job"]]), status=303)


def _take(request: HttpRequest, actor: Actor, given: dict[str, str]) -> tuple[dict[str, Any], bool]:
    """Makes a job of the request's body: its id as "job", and whether it was there before.

    The form's fields are put into `given` as soon as they are known. Raises NotFromHere,
    WorksElsewhere, and what a submission through the API raises.
    """
    check_length(request)
    with (
        storage.refusing_when_full(),
        storage.incoming() as directory,
        counting(request) as counts,
    ):
        form = receive(request, directory, admit=partial(_admit, request, actor, counts))
        given.update(form.fields)
        here = actor.organization
        if form.fields.pop("organization", str(here.pk)) != str(here.pk):
            raise WorksElsewhere(f"You now work in {here.name}. Send again to send there.")
        key = check_key(form.fields.pop("idempotency_key", ""))
        submission = read_submission(api_fields(form.fields))
        counts.ask_for(submission.operation)
        # Where no file was chosen, browsers send a nameless one of no bytes.
        files = [each for each in form.files if each.name or each.size_bytes]
        if not files:
            raise NoFiles("Choose at least one file.")
        hashed = fingerprint(submission, files)
        replayable = Replayable(ROUTE, key, hashed, lambda job: {"job": str(job.pk)})
        try:
            answer, is_replay = submit_once(
                actor=actor, submission=submission, files=files, replayable=replayable
            )
        except IdempotencyMismatch as error:
            raise IdempotencyMismatch("This page has sent other files before.") from error
        counts.is_accepted = not is_replay
        return answer, is_replay


def _admit(request: HttpRequest, actor: Actor, counts: BatchCount, fields: dict[str, str]) -> None:
    """What is asked before any file is read. Raises NotFromHere, InvalidInput, TooManyRequests."""
    _check_token(request, fields)
    key = check_key(fields.get("idempotency_key", ""))
    counts.begin(actor=actor, route=ROUTE, key=key)


def _check_token(request: HttpRequest, fields: dict[str, str]) -> None:
    """Django's own check of the token, taken out of `fields`. Raises NotFromHere."""
    request.META[settings.CSRF_HEADER_NAME] = fields.pop("csrfmiddlewaretoken", "")
    # Asked about `_submit`, for `new_job` is exempt.
    answer = CsrfViewMiddleware(new_job).process_view(request, _submit, (), {})
    if answer is not None:
        raise NotFromHere(answer)
