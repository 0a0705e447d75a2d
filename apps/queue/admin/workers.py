"""Workers in the admin."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnly, link_to_list, span, state_of
from apps.queue.board import is_silent
from apps.queue.handlers import handler_classes
from apps.queue.models import WorkerNode


@admin.register(WorkerNode)
class WorkerNodeAdmin(ReadOnly):
    """A worker takes its row away when it ends; one that died is forgotten after ten minutes."""

    list_display = (
        "__str__",
        "state_shown",
        "seen",
        "lanes_shown",
        "slots",
        "version",
        "started_at",
        "attempts",
    )
    fields = ("id", "host", "pid", *list_display[1:])
    ordering = ("host", "started_at")
    sortable_by = ()
    id_lookups = ("pk",)
    search_fields = ("host",)
    search_help_text = "A worker's id or its start, or a part of its host's name."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        workers: QuerySet = super().get_queryset(request).annotate(now=Now())
        return workers

    @admin.display(description="state")
    def state_shown(self, worker: WorkerNode) -> SafeString:
        return state_of("silent" if is_silent(worker) else "alive")

    @admin.display(description="heard of")
    def seen(self, worker: WorkerNode) -> str:
        return f"{span(worker.seen_at, worker.now)} ago"

    @admin.display(description="lanes")
    def lanes_shown(self, worker: WorkerNode) -> str:
        return ", ".join(worker.lanes)

    @admin.display(description="what it ran")
    def attempts(self, worker: WorkerNode) -> SafeString:
        models = [handler.attempt_model for handler in handler_classes()]
        links = (
            (link_to_list(model, str(model._meta.verbose_name_plural), worker_id=worker.pk.hex),)
            for model in models
            if admin.site.is_registered(model)
        )
        return format_html_join(", ", "{}", links)
