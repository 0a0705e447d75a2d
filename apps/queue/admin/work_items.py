"""Background work in the admin: how far it is, what came of it, and stopping it."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.models import User
from apps.core.admin import IS_HELD, LinkedFilter, MadeFilter, link_to, one_of, span, state_of
from apps.core.admin_actions import ServiceAction, ServiceAdmin, Skipped
from apps.queue.models import WorkItem
from apps.queue.states import UNFINISHED, State
from apps.queue.work_items import ORGANIZATIONS, cancel_work, retry_work

CHANGE = "queue.change_workitem"
VIEW = "queue.view_workitem"
REFRESH_SECONDS = 3
"""How often the page of unfinished work is loaded again, by the browser itself."""
ATTEMPTS_SHOWN = 20


def _cancel(user: User, item: WorkItem) -> None:
    _require(user, item)
    cancel_work(by=user, item=item)


def _retry(user: User, item: WorkItem) -> None:
    _require(user, item)
    retry_work(by=user, item=item)


def _require(user: User, item: WorkItem) -> None:
    if item.requested_by_id != user.pk and not user.has_perm(CHANGE):
        raise Skipped("You may look at it only: somebody else asked for it.")


@admin.register(WorkItem)
class WorkItemAdmin(ServiceAdmin):
    """Staff see, cancel and go on with what they asked for themselves, those with permission all
    of it."""

    list_display = (
        "title",
        "state_shown",
        "progress_bar",
        "kind",
        "requester",
        "created_at",
        "took",
        "error",
    )
    list_select_related = ("requested_by",)
    list_filter = (
        one_of("state", tuple(State)),
        one_of("lane", sorted(settings.QUEUE_LANES)),
        IS_HELD,
        one_of("kind", lambda: sorted(settings.WORK_KINDS)),
        MadeFilter,
        ("requested_by", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("title",)
    id_lookups = ("pk",)
    email_lookups = ("requested_by__email",)
    search_help_text = (
        "The id of a piece of work or its start, the e-mail address of the person who asked for "
        "it, or a part of its title."
    )
    fieldsets = (
        (None, {"fields": ("title", "state_shown", "progress_bar", "stage", "result_shown")}),
        ("Asked for", {"fields": ("requester", "reason", "created_at", "payload_shown")}),
        ("When", {"fields": ("started_at", "finished_at", "took")}),
        ("Error", {"fields": ("error_class", "error_code", "error_detail")}),
        ("Attempts", {"fields": ("attempts_shown",)}),
        (
            "Queue",
            {"fields": ("id", "kind", "lane", "run", "available_at", "worker_id", "request_id")},
        ),
    )
    service_actions = (
        ServiceAction(
            name="cancel",
            label="Cancel",
            done="Cancelled",
            effect="Work that waits is cancelled at once, work that runs after its current step. "
            "What was done stays done. Work that has ended is skipped.",
            permission="",
            perform=_cancel,
            fits=lambda item: item.state in UNFINISHED and not item.cancel_requested,
        ),
        ServiceAction(
            name="retry",
            label="Go on",
            done="Going on",
            effect="Work that failed or was cancelled goes on where it ended.",
            permission="",
            perform=_retry,
            fits=lambda item: item.state not in UNFINISHED and item.state != State.SUCCEEDED,
        ),
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # of what `get_queryset` lets them see

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        items = super().get_queryset(request)
        if request.user.has_perm(VIEW) or request.user.has_perm(CHANGE):
            return items
        return items.filter(requested_by=request.user.pk)

    def _allowed(self, request: HttpRequest) -> list[ServiceAction]:
        return list(self.service_actions)  # each asks for itself whether it may, of each row

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        answer = super().change_view(request, object_id, form_url, extra_context)
        item = self.get_object(request, object_id)
        if item is not None and item.state in UNFINISHED:
            answer["Refresh"] = str(REFRESH_SECONDS)
        return answer

    @admin.display(description="state")
    def state_shown(self, item: WorkItem) -> SafeString:
        is_stopping = item.cancel_requested and item.state == State.RUNNING
        return state_of("cancelling" if is_stopping else item.state)

    @admin.display(description="progress")
    def progress_bar(self, item: WorkItem) -> SafeString:
        return format_html(
            '<progress max="1" value="{}" aria-label="progress"></progress> {}',
            item.progress,
            f"{item.progress:.0%}",
        )

    @admin.display(description="asked for by")
    def requester(self, item: WorkItem) -> SafeString | str:
        return link_to(item.requested_by)

    @admin.display(description="took")
    def took(self, item: WorkItem) -> str:
        return span(item.started_at, item.finished_at)

    @admin.display(description="error")
    def error(self, item: WorkItem) -> str:
        return item.error_detail

    @admin.display(description="what for")
    def payload_shown(self, item: WorkItem) -> SafeString | str:
        return _told(item.payload)

    @admin.display(description="what came of it")
    def result_shown(self, item: WorkItem) -> SafeString | str:
        return _told({k: v for k, v in item.result.items() if k != ORGANIZATIONS})

    @admin.display(description="attempts")
    def attempts_shown(self, item: WorkItem) -> SafeString | str:
        attempts = item.attempts_made.order_by("-id")[:ATTEMPTS_SHOWN]
        rows = [
            (
                f"No. {attempt.number}, run {attempt.run}",
                state_of(attempt.outcome or "running"),
                attempt.started_at.strftime("%Y-%m-%d %H:%M:%S"),
                span(attempt.started_at, attempt.ended_at),
                attempt.detail,
            )
            for attempt in attempts
        ]
        if not rows:
            return "none yet"
        cells = "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>"
        return format_html("<table>{}</table>", format_html_join("", cells, rows))


def _told(value: Any) -> SafeString | str:
    """What JSON told, for people: a list of names and values."""
    if not isinstance(value, Mapping):
        return str(value)
    if not value:
        return "-"
    rows = [(str(name).replace("_", " "), _told(each)) for name, each in value.items()]
    return format_html(
        '<dl class="facts">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    )
