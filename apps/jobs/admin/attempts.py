"""Attempts at files in the admin."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.admin import (
    LinkedFilter,
    MadeFilter,
    ReadOnly,
    TextFilter,
    link_to,
    link_to_list,
    one_of,
    span,
    state_of,
)
from apps.core.sealing import without
from apps.jobs.admin.common import LANE
from apps.jobs.models import FileAttempt
from apps.jobs.services import password_of
from apps.queue.models import WorkerNode
from apps.queue.retry import FailureClass

MEGABYTE = 1024 * 1024
OUTCOMES = ("succeeded", "retry", "failed", "quarantined", "cancelled")
"""How an attempt ends; `retry` when its file is tried again."""


class WorkerFilter(TextFilter):
    """By a worker's whole id, which an index finds, also when the worker is gone."""

    title = "worker"
    parameter_name = "worker_id"
    asks_for = "Worker's id"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        worker_id = self._id()
        return queryset.filter(worker_id=worker_id) if worker_id else queryset.none()

    def found(self) -> str:
        if not self.value():
            return ""
        worker = WorkerNode.objects.filter(pk__in=[self._id()]).first()
        return str(worker) if worker else "no worker that is known now"

    def _id(self) -> uuid.UUID | None:
        try:
            return uuid.UUID(self.value() or "")
        except ValueError:
            return None


@admin.register(FileAttempt)
class FileAttemptAdmin(ReadOnly):
    list_display = (
        "attempt",
        "outcome_shown",
        "error",
        "file_link",
        "job_link",
        "organization_link",
        "lane",
        "worker",
        "started_at",
        "took",
        "memory",
        "processor_time",
    )
    list_select_related = ("row__job", "row__organization")
    list_filter = (
        one_of("outcome", OUTCOMES),
        one_of("failure_class", tuple(FailureClass)),
        LANE,
        WorkerFilter,
        MadeFilter,
        ("row", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    id_lookups = ("pk", "row", "row__job", "lease_token", "row__organization")
    sha256_lookups = ("row__sha256",)
    search_help_text = (
        "An attempt's id or its start, the id of a file, a job or an organization, a lease token, "
        "or the SHA-256 of the file. By name, the list of files finds it, and leads here."
    )
    fieldsets = (
        (None, {"fields": ("id", "file_link", "job_link", "organization_link", "run", "number")}),
        (
            "How it ended",
            {"fields": ("outcome_shown", "failure_class", "code", "detail", "stage")},
        ),
        ("When", {"fields": ("started_at", "ended_at", "took")}),
        ("Used", {"fields": ("memory", "processor_time")}),
        ("Traceback", {"fields": ("traceback_shown",)}),
        ("Queue", {"fields": ("lane", "worker", "worker_id", "lease_token", "request_id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # What is left of a worker that has ended is its id.
        known = WorkerNode.objects.filter(pk=OuterRef("worker_id"))
        text = TextField()
        name = Concat("host", Value(":"), Cast("pid", text), output_field=text)
        attempts = super().get_queryset(request).defer("traceback")
        named: QuerySet = attempts.annotate(worker_name=Subquery(known.values_list(name)))
        return named

    @admin.display(description="worker")
    def worker(self, attempt: Any) -> SafeString | str:
        if not attempt.worker_name:
            text = f"ended ({str(attempt.worker_id)[:8]})"
            return link_to_list(FileAttempt, text, worker_id=attempt.worker_id)
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:queue_workernode_change", args=[attempt.worker_id]),
            attempt.worker_name,
        )

    @admin.display(description="attempt")
    def attempt(self, attempt: FileAttempt) -> str:
        return f"No. {attempt.number}, run {attempt.run}"

    @admin.display(description="outcome")
    def outcome_shown(self, attempt: FileAttempt) -> SafeString:
        return state_of(attempt.outcome or "running")

    @admin.display(description="error")
    def error(self, attempt: FileAttempt) -> str:
        return f"{attempt.code} ({attempt.failure_class})" if attempt.code else ""

    @admin.display(description="file")
    def file_link(self, attempt: FileAttempt) -> SafeString | str:
        return link_to(attempt.row)

    @admin.display(description="request id")
    def request_id(self, attempt: FileAttempt) -> str:
        return str(attempt.row.request_id) or "-"

    @admin.display(description="job")
    def job_link(self, attempt: FileAttempt) -> SafeString | str:
        return link_to(attempt.row.job)

    @admin.display(description="organization")
    def organization_link(self, attempt: FileAttempt) -> SafeString | str:
        return link_to(attempt.row.organization)

    @admin.display(description="took")
    def took(self, attempt: FileAttempt) -> str:
        return span(attempt.started_at, attempt.ended_at)

    @admin.display(description="peak memory")
    def memory(self, attempt: FileAttempt) -> str:
        return f"{attempt.peak_rss_bytes / MEGABYTE:.0f} MB" if attempt.peak_rss_bytes else "-"

    @admin.display(description="processor time")
    def processor_time(self, attempt: FileAttempt) -> str:
        return f"{attempt.cpu_seconds:.1f} s" if attempt.cpu_seconds else "-"

    @admin.display(description="traceback")
    def traceback_shown(self, attempt: FileAttempt) -> SafeString | str:
        if not attempt.traceback:
            return "none"
        told = without(password_of(attempt.row.job), attempt.traceback)
        return format_html('<pre tabindex="0">{}</pre>', told)
