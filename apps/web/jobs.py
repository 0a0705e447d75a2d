"""The list of jobs."""

from dataclasses import dataclass, replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from django_htmx.http import replace_url
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.core.errors import InvalidInput
from apps.core.pagination import CursorPagination
from apps.jobs.counters import jobs_by_state
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchJob
from apps.jobs.states import OPEN
from apps.queue.models import Priority
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.filters import SEARCHED, Filters, Found, find
from apps.web.rows import fills, fingerprint, rows_of

PRIORITIES = [(f"prioritize-{each.label}", each.label.capitalize()) for each in Priority]
"""(verb, label), in the order of the menu."""


class Pages(CursorPagination):
    """As the API's, but of one size."""

    def get_page_size(self, request: Request) -> int:
        return 50


@dataclass(frozen=True)
class Page:
    """One page: its jobs, and the addresses of itself and of those around it, "" for none; `counts`
    are the organization's jobs by state."""

    jobs: list[BatchJob]
    here: str
    newer: str
    older: str
    counts: dict[str, int]

    @classmethod
    def of(
        cls, request: HttpRequest, found: Found, filters: Filters, counts: dict[str, int]
    ) -> "Page":
        """The page that the request's cursor names. Raises InvalidInput for a bad cursor."""
        pages = Pages()
        jobs = pages.paginate_queryset(found.jobs, Request(request)) or []
        pages.base_url = filters.url
        here = filters.url if pages.cursor is None else pages.encode_cursor(pages.cursor)
        around = pages.get_previous_link() or "", pages.get_next_link() or ""
        return cls(jobs, here, *around, counts)

    @property
    def query(self) -> str:
        """Of its address, for forms that come back to it."""
        return self.here.partition("?")[2]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.jobs, self.newer, self.older, self.counts)

    @property
    def beat(self) -> str:
        """How often it asks for news: rarely for new jobs on top, never where nothing can come."""
        if any(job.state in OPEN for job in self.jobs):
            return "beat"
        return "" if self.newer else "slowbeat"


@require_safe
@limited("api", fragments="live")
@members_only
def jobs(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page, or for a page that is open its list alone: 204 when that is as it was `seen`."""
    actor.require("read", "jobs")
    filters = Filters.of(request.GET)
    mine = BatchJob.objects.in_organization(actor.organization).select_related("created_by")
    found = find(mine, filters)
    counts = {} if filters.searches else jobs_by_state(actor.organization.pk)
    try:
        page = Page.of(request, found, filters, counts)
    except InvalidInput:
        messages.warning(request, "That page of the list is not there; these are the newest jobs.")
        return redirect(filters.url)
    if not fills(request, "list"):
        return render(request, "web/jobs.html", _context(actor, page, filters, found))
    if request.GET.get("seen") == page.fingerprint:
        return HttpResponse(status=204)
    context = _context(actor, page, filters, found)
    if "seen" in request.GET:
        return render(request, "web/_job_list.html", context)
    # Somebody typed: a screen reader says what was found, and the address follows, without a step
    # in the browser's history per letter.
    context["told"] = _told(page, found)
    return replace_url(render(request, "web/_job_list.html", context), page.here)


def _told(page: Page, found: Found) -> str:
    count = len(page.jobs)
    if not count:
        return "No job matches so far." if found.older_from else "No job matches."
    more = " and more" if page.older or found.older_from else ""
    return f"{count} job{'' if count == 1 else 's'}{more}."


def _context(actor: Actor, page: Page, filters: Filters, found: Found) -> dict[str, object]:
    older = replace(filters, until=found.older_from).url if found.older_from else ""
    return {
        "page": page,
        "may_choose": actor.may("update", "jobs", created_by_id=actor.user.pk),
        "formats": FORMATS.values(),
        "priorities": PRIORITIES,
        "filters": filters,
        "chips": filters.chips(page.counts),
        "rows": rows_of(page.jobs),
        "searched": SEARCHED,
        "older_from": found.older_from,
        "search_older": older,
    }
