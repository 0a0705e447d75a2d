"""One thing done to several jobs that were chosen in the list, each for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from apps.accounts.actor import Actor
from apps.core.errors import DocmillError, InvalidInput
from apps.jobs.models import BatchFile, BatchJob, Export
from apps.jobs.states import OPEN
from apps.jobs.verbs import JOB_VERBS, Deed, Verb
from apps.ratelimits.decorators import limited
from apps.web import words
from apps.web.access import members_only
from apps.web.questions import bulk_question
from apps.web.rows import titles_of

AT_ONCE = 50
"""Jobs that can be chosen: as many as a page of the list has."""
OFFERED = {
    name: JOB_VERBS[name]
    for name in (
        "pause",
        "resume",
        "prioritize-high",
        "prioritize-normal",
        "prioritize-low",
        "retry",
        "cancel",
        "delete",
    )
}
ASKED = ("cancel", "delete")
"""What is not undone by a click."""
ALREADY = {
    "pause": "It is paused already, or being cancelled.",
    "resume": "Nothing of it is paused.",
}
"""What a service takes without a word, although it changes nothing then."""
NAMED = 5
"""Jobs that are called by their names where several share a reason."""


@dataclass(frozen=True)
class Chosen:
    """Jobs that a form names, the oldest first: so they keep their order in line. `missing` is how
    many more it names that are not there, or not in the actor's organization."""

    jobs: list[BatchJob]
    missing: int

    @classmethod
    def of(cls, request: HttpRequest, actor: Actor) -> "Chosen":
        """Raises InvalidInput for what are no ids, and for too many."""
        listed = request.POST.getlist("jobs")
        if len(listed) > AT_ONCE:
            raise InvalidInput(f"At most {AT_ONCE} jobs can be chosen at once.")
        try:
            ids = {UUID(each) for each in listed}
        except ValueError:
            raise InvalidInput("jobs must be ids of jobs.") from None
        mine = BatchJob.objects.in_organization(actor.organization).filter(pk__in=ids)
        found = list(mine.order_by("created_at", "pk"))
        return cls(found, len(ids) - len(found))


@dataclass(frozen=True)
class Outcome:
    """How many jobs it was done to; the names of the others by why it could not be."""

    done: int
    left: dict[str, list[str]]
    missing: int = 0

    @property
    def level(self) -> int:
        if not self.done:
            return messages.ERROR
        return messages.WARNING if self.left or self.missing else messages.SUCCESS

    def told(self, verb: Verb) -> SafeString:
        """In sentences, as markup."""
        count = sum(map(len, self.left.values())) + self.missing
        done = f"{verb.done}: {words.jobs(self.done)}."
        if not count:
            return format_html("{}", done)
        lines: list[tuple[str, str]] = [
            (_names(names), reason) for reason, names in self.left.items()
        ]
        if self.missing:
            lines.append((words.jobs(self.missing), "Not there any more."))
        listed = format_html_join("", "<li>{}: {}</li>", lines)
        return format_html("{} {} could not be:<ul>{}</ul>", done, count, listed)


def _names(titles: Sequence[str]) -> SafeString:
    told = format_html_join(", ", "<bdi>{}</bdi>", [(each,) for each in titles[:NAMED]])
    more = len(titles) - NAMED
    return format_html("{} and {} more", told, more) if more > 0 else told


@require_http_methods(["GET", "HEAD", "POST"])
@limited("api")
@members_only
def act(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Does the `verb` of the form to its `jobs`, those that it can be done to, and tells of the
    others; asks first where it is not undone by a click. Raises Forbidden or InvalidInput."""
    actor.require("update", "jobs", created_by_id=actor.user.pk)
    if request.method != "POST":  # who comes back to the question by its address
        return redirect("web:jobs")
    if not request.POST.get("verb"):
        messages.warning(request, "Press what is to be done with the selected jobs.")
        return redirect(list_url(request))
    verb = OFFERED.get(request.POST.get("verb", ""))
    if verb is None:
        raise InvalidInput(f"verb must be one of: {', '.join(OFFERED)}.")
    chosen = Chosen.of(request, actor)
    if not chosen.jobs:
        return nothing(request, chosen)
    if verb.name in ASKED and "sure" not in request.POST:
        return _ask(request, actor, verb, chosen)
    outcome = _do(actor, verb, chosen)
    messages.add_message(request, outcome.level, outcome.told(verb))
    return redirect(list_url(request))


def nothing(request: HttpRequest, chosen: Chosen) -> HttpResponse:
    """Back to the list, where none of what was chosen is there, or nothing was chosen."""
    if chosen.missing:
        messages.error(request, "None of the chosen jobs is there any more. Nothing was changed.")
    else:
        messages.warning(request, "Choose at least one job first.")
    return redirect(list_url(request))


def list_query(request: HttpRequest) -> str:
    """The parameters of the list's address when the form was sent, which has them as `list`."""
    return QueryDict(request.POST.get("list", "")).urlencode()


def list_url(request: HttpRequest) -> str:
    """The list as it was then."""
    return f"{reverse('web:jobs')}?{list_query(request)}".rstrip("?")


def _ask(request: HttpRequest, actor: Actor, verb: Verb, chosen: Chosen) -> HttpResponse:
    """The question, with how many it is of; nothing is asked about what cannot be done anyway."""
    fit = [job for job in chosen.jobs if verb.fits(job) and _may(actor, verb, job)]
    if not fit:
        told = f"None of the chosen jobs can be {verb.done.lower()}. Nothing was changed."
        messages.error(request, told)
        return redirect(list_url(request))
    question = bulk_question(
        verb,
        fit,
        titles=list(titles_of(fit).values()),
        left=len(chosen.jobs) - len(fit) + chosen.missing,
        exports=Export.objects.filter(jobs__in=fit).distinct().count(),
        list_query=list_query(request),
    )
    return render(request, "web/confirm.html", {"question": question})


def _may(actor: Actor, verb: Verb, job: BatchJob) -> bool:
    by = job.created_by_id
    if verb.deletes:
        return actor.may("delete", "jobs", created_by_id=by)
    return actor.may("update", "jobs", created_by_id=by)


def _do(actor: Actor, verb: Verb, chosen: Chosen) -> Outcome:
    titles = titles_of(chosen.jobs)
    left: dict[str, list[str]] = {}
    for job in chosen.jobs:
        if reason := _why_not(actor, verb, job):
            left.setdefault(reason, []).append(titles[job.pk])
    done = len(chosen.jobs) - sum(map(len, left.values()))
    return Outcome(done, left, chosen.missing)


def _why_not(actor: Actor, verb: Verb, job: BatchJob) -> str:
    """Does it to the job; "" once it is done, else why it could not be."""
    if was_so := _was_so(verb, job):
        return was_so
    try:
        verb.perform(Deed(actor, job))
    except DocmillError as error:
        return str(error)
    return ""


def _was_so(verb: Verb, job: BatchJob) -> str:
    """What is told of a job that would not be changed; "" where the service says it."""
    if job.state not in OPEN or verb.fits(job):
        return ""
    held = BatchFile.objects.filter(job=job, is_held=True)
    if verb.name == "resume" and held.exists():  # files of it that were paused one by one
        return ""
    return ALREADY.get(verb.name, "")
