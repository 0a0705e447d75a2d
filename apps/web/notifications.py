"""What somebody was told: the page of it, the bell, and the way to what it is about."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import replace_url
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.caching.http import REVALIDATED, conditional
from apps.core.errors import InvalidInput
from apps.core.filters import is_storable
from apps.core.pagination import CursorPagination
from apps.notifications.badge import Badge
from apps.notifications.errors import require_enabled
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification
from apps.notifications.reading import notification_of
from apps.notifications.services import mark, mark_all_read
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.rows import fills
from apps.web.sessions import work_in

UNREAD = "unread"


class Pages(CursorPagination):
    """As the API's, but of one size."""

    ordering = ("-told_at", "-id")

    def get_page_size(self, request: Request) -> int:
        return 30


@dataclass(frozen=True)
class Filters:
    """What is asked for; what cannot be understood is left out."""

    show: str = ""
    kind: str = ""

    @classmethod
    def of(cls, given: QueryDict) -> "Filters":
        kind = given.get("kind", "")
        return cls(UNREAD if given.get("show") == UNREAD else "", kind if kind in KINDS else "")

    @property
    def url(self) -> str:
        """The address of the first page with these filters."""
        query = urlencode({name: value for name, value in vars(self).items() if value})
        return f"{reverse('web:notifications')}?{query}".rstrip("?")

    @property
    def narrows(self) -> bool:
        return bool(self.show or self.kind)

    def find(self, rows: Any) -> Any:
        """Those of `rows` that are asked for."""
        if self.show:
            rows = rows.unread()
        return rows.filter(kind=self.kind) if self.kind else rows


@dataclass(frozen=True)
class Page:
    """One page of the list, and the addresses of itself and of those around it, "" for none."""

    rows: list[Notification]
    filters: Filters
    here: str
    newer: str
    older: str
    drawn_at: datetime

    @classmethod
    def of(cls, request: HttpRequest, actor: Actor) -> "Page":
        """The one that the request's parameters name. Raises InvalidInput for a bad cursor."""
        filters, now = Filters.of(request.GET), timezone.now()
        found: QuerySet[Notification] = filters.find(Notification.objects.shown_to(actor))
        pages = Pages()
        reading = Request(request)
        rows = pages.paginate_queryset(found.select_related("organization"), reading) or []
        pages.base_url = filters.url
        here = filters.url if pages.cursor is None else pages.encode_cursor(pages.cursor)
        around = pages.get_previous_link() or "", pages.get_next_link() or ""
        return cls(rows, filters, here, *around, now)

    @property
    def chips(self) -> list[tuple[str, str, str, bool]]:
        """(name, label, address, whether it is chosen)."""
        kind = self.filters.kind
        return [
            (name or "all", label, Filters(name, kind).url, name == self.filters.show)
            for name, label in (("", "All"), (UNREAD, "Unread"))
        ]

    @property
    def query(self) -> str:
        """Of its address, for forms that come back to it."""
        return self.here.partition("?")[2]


@require_safe
@limited("api", fragments="live")
@members_only
def notifications(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page, or for a page that is open its list alone."""
    require_enabled()
    return _answer(request, actor)


@require_safe
@limited("live")
@members_only
def badge(request: HttpRequest, actor: Actor) -> HttpResponse:
    """What the bell says, or 304 while that is what the asker has."""
    require_enabled()
    told = Badge.of(actor)
    answer = HttpResponse(render_to_string("web/_badge.html", {"badge": told}))
    answer["ETag"], answer["Cache-Control"] = told.etag, REVALIDATED
    return conditional(request, answer, told.etag)


@require_safe
@limited("api")
@members_only
def notification(request: HttpRequest, actor: Actor, pk: UUID) -> HttpResponse:
    """Marks it as read and leads to what it is about, in the organization that it is of. Raises
    NotFound."""
    require_enabled()
    row = notification_of(actor, pk)
    if request.method == "GET":
        mark(Notification.objects.shown_to(actor).filter(pk=row.pk), read=True)
    page = row.told.page
    if not page:
        return redirect("web:notifications")
    answer = redirect(*page)
    if row.organization_id == actor.organization.pk:
        return answer
    return work_in(request, row.organization, answer)


@require_POST
@limited("api")
@members_only
def read(request: HttpRequest, actor: Actor, pk: UUID) -> HttpResponse:
    """Marks it as read, or with `unread` as unread. Raises NotFound."""
    require_enabled()
    row = notification_of(actor, pk)
    is_read = "unread" not in request.POST
    mark(Notification.objects.shown_to(actor).filter(pk=row.pk), read=is_read)
    return _answer(request, actor, told="Marked as read." if is_read else "Marked as unread.")


@require_POST
@limited("api")
@members_only
def read_all(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Marks all of the chosen kind as read that were told `until` the page was drawn."""
    require_enabled()
    rows = Filters(kind=Filters.of(request.GET).kind).find(Notification.objects.shown_to(actor))
    count = mark_all_read(rows, until=_moment(request.POST.get("until", "")))
    told = f"Marked as read: {count}." if count else "Everything was read before."
    return _answer(request, actor, told=told)


def _answer(request: HttpRequest, actor: Actor, *, told: str = "") -> HttpResponse:
    """The list, as the request's parameters ask for it: alone, or on its page. `told` says what was
    done before."""
    try:
        page = Page.of(request, actor)
    except InvalidInput:
        messages.warning(request, "That page of the list is not there; these are the newest.")
        return redirect(Filters.of(request.GET).url)
    if fills(request, "list"):
        known = {"page": page, "told": told, "is_apart": True}
        return replace_url(render(request, "web/_notification_list.html", known), page.here)
    if request.method == "POST":
        messages.success(request, told)
        return redirect(page.here)
    return render(request, "web/notifications.html", {"page": page, "kinds": KINDS.values()})


def _moment(text: str) -> datetime | None:
    """The moment that the page wrote; None for anything else."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and is_storable(moment) else None
