"""Jobs in the admin."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import json

from django.contrib import admin
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime

from apps.accounts.admin import OrganizationFilter
from apps.core.admin import (
    LinkedFilter,
    MadeFilter,
    link_to,
    link_to_list,
    one_of,
    span,
    state_of,
)
from apps.jobs.admin.bulk import BulkAdmin, actions_of
from apps.jobs.admin.common import PRIORITY, operations
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.states import COUNTED, JOB_STATES
from apps.jobs.verbs import JOB_VERBS
from apps.queue.models import Priority

BREAK = mark_safe("<br>")
WHEN = "j M Y, H:i:s"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in COUNTED if counts.get(state))


@admin.register(BatchJob)
class BatchJobAdmin(BulkAdmin):
    list_display = (
        "__str__",
        "state_shown",
        "progress",
        "operation",
        "priority",
        "organization_link",
        "creator",
        "created_at",
        "took",
        "files_link",
    )
    list_select_related = ("organization", "created_by")
    list_filter = (
        one_of("state", JOB_STATES),
        one_of("operation", operations),
        PRIORITY,
        MadeFilter,
        OrganizationFilter,
        ("created_by", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name",)
    id_lookups = ("pk", "files__pk", "organization")
    email_lookups = ("created_by__email",)
    search_help_text = (
        "A job's id or its start, the id of a file or an organization, the e-mail address of the "
        "person who made it, or a part of its name."
    )
    fieldsets = (
        (None, {"fields": ("id", "name", "organization_link", "creator")}),
        ("What", {"fields": ("operation", "priority_shown", "options_shown")}),
        ("Files", {"fields": ("state_shown", "progress", "counts_shown", "files_link")}),
        (
            "When",
            {"fields": ("created_at", "started_at", "finished_at", "took", "expires_at")},
        ),
        (
            "Control",
            {"fields": ("paused_shown", "pause_reason", "paused_at", "is_kept", "discarded_at")},
        ),
        ("Ends", {"fields": ("completions_shown",)}),
        ("Inside", {"fields": ("run", "revision", "request_id")}),
    )
    service_actions = actions_of(JOB_VERBS)
    bulk_of = "jobs"

    @admin.display(description="state")
    def state_shown(self, job: BatchJob) -> SafeString:
        return state_of(job.state)

    @admin.display(description="ended")
    def progress(self, job: BatchJob) -> SafeString:
        return format_html(
            '<progress max="{1}" value="{0}" aria-label="files ended"></progress> {0} of {1}',
            job.finished_count,
            job.total,
        )

    @admin.display(description="files by state")
    def counts_shown(self, job: BatchJob) -> str:
        return _counts(job.counts) or "none has ended"

    @admin.display(description="paused by")
    def paused_shown(self, job: BatchJob) -> SafeString | str:
        if job.paused_at is None:
            return "not paused"
        return link_to(job.paused_by) if job.paused_by else "Docmill"

    @admin.display(description="ends of its runs")
    def completions_shown(self, job: BatchJob) -> SafeString | str:
        told = (
            (end.run, date_format(localtime(end.created_at), WHEN), end.state, _counts(end.counts))
            for end in job.completions.order_by("run")
        )
        return format_html_join(BREAK, "Run {}, {}: {} ({})", told) or "none has ended"

    @admin.display(description="organization")
    def organization_link(self, job: BatchJob) -> SafeString | str:
        return link_to(job.organization)

    @admin.display(description="made by")
    def creator(self, job: BatchJob) -> SafeString | str:
        return link_to(job.created_by)

    @admin.display(description="took")
    def took(self, job: BatchJob) -> str:
        return span(job.started_at, job.finished_at)

    @admin.display(description="files")
    def files_link(self, job: BatchJob) -> SafeString:
        text = f"{job.total} file{'s' if job.total != 1 else ''}"
        return link_to_list(BatchFile, text, job__id__exact=job.pk)

    @admin.display(description="priority")
    def priority_shown(self, job: BatchJob) -> str:
        return str(Priority(job.priority).label)

    @admin.display(description="options")
    def options_shown(self, job: BatchJob) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(job.options, indent=2, ensure_ascii=False))
