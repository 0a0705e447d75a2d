"""What can be downloaded from a job's page, and what is being built for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.jobs.contents import Contents, Section
from apps.jobs.errors import TooManyExports
from apps.jobs.formats import FORMATS, Format
from apps.jobs.models import BatchFile, BatchJob, Export
from apps.jobs.models.exports import BUILT
from apps.jobs.reading import export_of, job_of
from apps.jobs.services.exporting import delete_export, request_export
from apps.queue.states import State
from apps.ratelimits.decorators import limited
from apps.web.access import members_only

SHOWN = 5
"""Exports of a job that its page shows, the newest."""
STATE_WORDS = {
    BUILT: "Ready",
    State.QUEUED: "Waits to be built",
    State.RUNNING: "Is being built",
    State.RETRY_WAIT: "Will be tried again",
    State.CANCELLED: "Stopped",
}


@dataclass(frozen=True)
class Choice:
    """A format: `url` is where to fetch it at once, "" where it has to be built first; `may_build`:
    whether it is offered to be."""

    made: Format
    url: str
    may_build: bool


@dataclass(frozen=True)
class Shown:
    """An export; `is_outdated` where the results have changed since."""

    export: Export
    is_outdated: bool
    may_delete: bool

    @property
    def label(self) -> str:
        return FORMATS[self.export.format].label

    @property
    def state(self) -> str:
        return STATE_WORDS.get(self.export.state, "Failed")

    @property
    def is_ready(self) -> bool:
        return self.export.state == BUILT

    @property
    def percent(self) -> int:
        return int(self.export.progress * 100)

    @property
    def reason(self) -> str:
        """Why it failed or waits; empty where nothing is wrong."""
        item = self.export.item
        return "" if self.is_ready or item is None else str(item.error_detail)

    @property
    def has_failed(self) -> bool:
        return not self.is_ready and not self.export.is_unfinished


class Downloads:
    """Those of one job as `actor` sees it."""

    def __init__(self, actor: Actor, job: BatchJob, files: Sequence[BatchFile]) -> None:
        self.contents = Contents([Section(job, files)])
        self._actor = actor
        self._job = job

    @property
    def choices(self) -> list[Choice]:
        may_build = self.is_large and self._actor.may("create", "exports")
        return [
            Choice(each, self._url_of(each) if self._is_direct(each) else "", may_build)
            for each in FORMATS.values()
        ]

    def _url_of(self, made: Format) -> str:
        return reverse(f"job-results-{made.name}", args=[self._job.pk])

    def _is_direct(self, made: Format) -> bool:
        return made.is_streamed or not self.is_large

    @cached_property
    def is_large(self) -> bool:
        return self.contents.is_large

    @cached_property
    def exports(self) -> list[Shown]:
        return [
            Shown(export, self._is_outdated(export), self._may_delete(export))
            for export in _exports_of(self._job)
        ]

    def _is_outdated(self, export: Export) -> bool:
        current = self.contents.fingerprint(export.format)
        return export.content_id is not None and export.fingerprint != current

    def _may_delete(self, export: Export) -> bool:
        return self._actor.may("delete", "exports", created_by_id=export.created_by_id)

    @property
    def is_building(self) -> bool:
        return any(shown.export.is_unfinished for shown in self.exports)

    @property
    def news(self) -> str:
        """What a screen reader says by itself."""
        newest = self.exports[:1]
        return "".join(f"{shown.label} export: {shown.state.lower()}." for shown in newest)

    @property
    def token(self) -> str:
        return _token(shown.export for shown in self.exports)


def _exports_of(job: BatchJob) -> list[Export]:
    """The newest that are not past their time."""
    exports = Export.objects.filter(jobs=job, expires_at__gt=timezone.now())
    return list(exports.select_related("item", "content").order_by("-created_at", "-pk")[:SHOWN])


def _token(exports: Iterable[Export]) -> str:
    return "~".join(f"{e.pk.hex[-6:]}{e.state[:3]}{int(e.progress * 100)}" for e in exports)


def has_moved(job: BatchJob, seen: str) -> bool:
    """Whether any export of the job is not as a page has `seen` it."""
    return _token(_exports_of(job)) != seen


@require_POST
@limited("api")
@members_only
def build(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Has the job's results built in the `format` of the form. Raises NotFound or Forbidden."""
    job = job_of(actor, job_id)
    actor.require("create", "exports")
    made = FORMATS.get(request.POST.get("format", ""))
    if made is None:
        raise NotFound("There is no such format.")
    try:
        export = request_export(actor=actor, jobs=[job], made=made)
    except TooManyExports as refusal:
        messages.error(request, refusal.detail)
        return redirect("web:job", job.pk)
    if export.content_id is not None:
        messages.success(request, f"{made.label} is there already: see Exports below.")
    else:
        messages.success(request, f"{made.label} is being built. You can leave this page.")
    return redirect("web:job", job.pk)


@require_POST
@limited("api")
@members_only
def delete(request: HttpRequest, actor: Actor, job_id: UUID, export_id: UUID) -> HttpResponse:
    """Deletes an export of the job. Raises NotFound or Forbidden."""
    job = job_of(actor, job_id)
    delete_export(actor=actor, export=export_of(actor, export_id))
    messages.success(request, "The export is deleted. The results stay.")
    return redirect("web:job", job.pk)
