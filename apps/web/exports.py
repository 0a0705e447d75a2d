"""The list of exports: downloads that are built in the background, of one job or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.core.errors import InvalidInput, NotFound
from apps.core.pagination import CursorPagination
from apps.jobs.errors import TooManyExports
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchJob, Export
from apps.jobs.reading import export_of
from apps.jobs.services.exporting import delete_export, request_export
from apps.ratelimits.decorators import limited
from apps.web import words
from apps.web.access import members_only
from apps.web.bulk import Chosen, nothing
from apps.web.downloads import Shown
from apps.web.rows import fills, fingerprint, titles_of


class Pages(CursorPagination):
    """As the API's, but of one size."""

    def get_page_size(self, request: Request) -> int:
        return 30


@dataclass(frozen=True)
class Row:
    """An export of `job`, the oldest of its jobs, which is called `title`, and `others` more.

    Whether it is outdated is told on the page of a job alone: it takes reading all of its files.
    """

    shown: Shown
    job: BatchJob | None
    title: str
    others: int
    may_repeat: bool

    @property
    def called(self) -> str:
        """What tells its buttons from those of others."""
        more = f" and {self.others} more" if self.others else ""
        return f"{self.shown.label} of {self.title}{more}"


@dataclass(frozen=True)
class Page:
    """One page of the list, and the addresses of itself and of those around it, "" for none."""

    rows: list[Row]
    here: str
    newer: str
    older: str
    may_build: bool

    @classmethod
    def of(cls, request: HttpRequest, actor: Actor) -> "Page":
        """The one that the request's cursor names; a fixed number of queries. Raises InvalidInput
        for a bad cursor."""
        pages = Pages()
        found = pages.paginate_queryset(_current(actor), Request(request)) or []
        pages.base_url = url = reverse("web:exports")
        here = url if pages.cursor is None else pages.encode_cursor(pages.cursor)
        around = pages.get_previous_link() or "", pages.get_next_link() or ""
        return cls(_rows(actor, found), here, *around, actor.may("create", "exports"))

    @property
    def fingerprint(self) -> str:
        shown = [(row.shown.export.pk, row.shown.state, row.shown.percent) for row in self.rows]
        return fingerprint([], shown, self.newer, self.older)

    @property
    def is_building(self) -> bool:
        return any(row.shown.export.is_unfinished for row in self.rows)

    @property
    def news(self) -> str:
        """What a screen reader says by itself."""
        building = sum(row.shown.export.is_unfinished for row in self.rows)
        if building:
            return f"{words.exports(building)} being built."
        return "Nothing is being built." if self.rows else ""


def _current(actor: Actor) -> QuerySet[Export]:
    """Those that are not past their time."""
    exports = Export.objects.in_organization(actor.organization)
    jobs = Prefetch("jobs", BatchJob.objects.only("name", "total").order_by("created_at", "pk"))
    found: QuerySet[Export] = exports.filter(expires_at__gt=timezone.now())
    return found.select_related("item", "content").prefetch_related(jobs)


def _rows(actor: Actor, exports: Sequence[Export]) -> list[Row]:
    jobs = {export.pk: list(export.jobs.all()) for export in exports}
    titles = titles_of([of[0] for of in jobs.values() if of])
    return [_row(actor, export, jobs[export.pk], titles) for export in exports]


def _row(actor: Actor, export: Export, jobs: Sequence[BatchJob], titles: Mapping[UUID, str]) -> Row:
    job = jobs[0] if jobs else None
    may_delete = actor.may("delete", "exports", created_by_id=export.created_by_id)
    return Row(
        shown=Shown(export, is_outdated=False, may_delete=may_delete),
        job=job,
        title=titles[job.pk] if job else "",
        others=max(0, len(jobs) - 1),
        may_repeat=actor.may("create", "exports"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@limited("api", fragments="live")
@members_only
def exports(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page, or for a page that is open its list alone: 204 when that is as it was `seen`. POST
    has one built of the chosen `jobs` in a `format`. Raises Forbidden, InvalidInput or NotFound."""
    actor.require("read", "exports")
    if request.method == "POST":
        return _build(request, actor)
    try:
        page = Page.of(request, actor)
    except InvalidInput:
        messages.warning(request, "That page of the list is not there; these are the newest.")
        return redirect("web:exports")
    if not fills(request, "list"):
        return render(request, "web/exports.html", {"page": page})
    if request.GET.get("seen") == page.fingerprint:
        return HttpResponse(status=204)
    return render(request, "web/_export_list.html", {"page": page})


def _build(request: HttpRequest, actor: Actor) -> HttpResponse:
    actor.require("create", "exports")
    chosen = Chosen.of(request, actor)
    if not chosen.jobs:
        return nothing(request, chosen)
    _request(request, actor, chosen.jobs, request.POST.get("format", ""))
    if chosen.missing:
        messages.warning(request, f"{words.jobs(chosen.missing)} of them: not there any more.")
    return redirect("web:exports")


def _request(request: HttpRequest, actor: Actor, jobs: Sequence[BatchJob], name: str) -> None:
    """Has it built, or finds it, and says which. Raises NotFound for a format that there is not."""
    made = FORMATS.get(name)
    if made is None:
        raise NotFound("There is no such format.")
    try:
        is_built = request_export(actor=actor, jobs=jobs, made=made).content_id is not None
    except TooManyExports as refusal:
        messages.error(request, refusal.detail)
        return
    told = "is there already" if is_built else "is being built. You can leave this page"
    messages.success(request, f"{made.label} of {words.jobs(len(jobs))} {told}.")


@require_POST
@limited("api")
@members_only
def again(request: HttpRequest, actor: Actor, export_id: UUID) -> HttpResponse:
    """Has another one built of the same jobs. Raises NotFound or Forbidden."""
    export = export_of(actor, export_id)
    actor.require("create", "exports")
    _request(request, actor, list(export.jobs.order_by("created_at", "pk")), export.format)
    return redirect("web:exports")


@require_POST
@limited("api")
@members_only
def delete(request: HttpRequest, actor: Actor, export_id: UUID) -> HttpResponse:
    """Deletes it, and stops its being built. Raises NotFound or Forbidden."""
    delete_export(actor=actor, export=export_of(actor, export_id))
    messages.success(request, "The export is deleted. The results stay.")
    return redirect("web:exports")
