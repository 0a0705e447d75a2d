"""Files in the admin."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString

from apps.accounts.admin import OrganizationFilter
from apps.core.admin import (
    IS_HELD,
    LinkedFilter,
    MadeFilter,
    link_to,
    link_to_list,
    one_of,
    span,
    state_of,
)
from apps.jobs.admin.bulk import BulkAdmin, actions_of
from apps.jobs.admin.common import LANE, PRIORITY, operations
from apps.jobs.advice import advice_on
from apps.jobs.models import BatchFile, FileAttempt
from apps.jobs.states import FILE_STATES
from apps.jobs.verbs import FILE_VERBS
from apps.queue.retry import FailureClass


@admin.register(BatchFile)
class BatchFileAdmin(BulkAdmin):
    list_display = (
        "name",
        "state_shown",
        "error",
        "job_link",
        "organization_link",
        "kind",
        "size",
        "lane",
        "created_at",
        "took",
        "attempts_link",
    )
    list_select_related = ("organization", "job")
    list_filter = (
        one_of("state", FILE_STATES),
        one_of("error_class", tuple(FailureClass)),
        LANE,
        PRIORITY,
        IS_HELD,
        one_of("job__operation", operations, title="operation"),
        MadeFilter,
        OrganizationFilter,
        ("job", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name",)
    id_lookups = ("pk", "job", "attempts_made__pk", "organization")
    sha256_lookups = ("sha256",)
    email_lookups = ("job__created_by__email",)
    search_help_text = (
        "A file's id or its start, its SHA-256, the id of a job, an attempt or an organization, "
        "the e-mail address of the person who submitted it, or a part of its name."
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "id",
                    "name",
                    "job_link",
                    "organization_link",
                    "position",
                    "parent_link",
                    "duplicate_of_link",
                    "waits_for_link",
                )
            },
        ),
        ("Content", {"fields": ("kind", "content_type", "size", "sha256")}),
        ("State", {"fields": ("state_shown", "stage", "progress_shown", "attempts_link")}),
        ("Error", {"fields": ("error_class", "error_code", "error_detail", "advice")}),
        ("Result", {"fields": ("result_shown",)}),
        ("When", {"fields": ("created_at", "started_at", "finished_at", "took")}),
        (
            "Queue",
            {
                "fields": (
                    "lane",
                    "priority",
                    "fair_rank",
                    "available_at",
                    "flags",
                    "run",
                    ("failures", "crashes", "losses"),
                    "request_id",
                    "worker_id",
                    "lease_token",
                    "lease_expires_at",
                )
            },
        ),
    )
    service_actions = actions_of(FILE_VERBS)
    bulk_of = "files"

    @admin.display(description="state")
    def state_shown(self, file: BatchFile) -> SafeString:
        return state_of(file.state)

    @admin.display(description="error")
    def error(self, file: BatchFile) -> str:
        return f"{file.error_code} ({file.error_class})" if file.error_code else ""

    @admin.display(description="what to do")
    def advice(self, file: BatchFile) -> str:
        return advice_on(file.error_code) if file.error_code else ""

    @admin.display(description="job")
    def job_link(self, file: BatchFile) -> SafeString | str:
        return link_to(file.job)

    @admin.display(description="organization")
    def organization_link(self, file: BatchFile) -> SafeString | str:
        return link_to(file.organization)

    @admin.display(description="found in")
    def parent_link(self, file: BatchFile) -> SafeString | str:
        return link_to(file.parent)

    @admin.display(description="has the result of")
    def duplicate_of_link(self, file: BatchFile) -> SafeString | str:
        return link_to(file.duplicate_of)

    @admin.display(description="waits for the end of")
    def waits_for_link(self, file: BatchFile) -> SafeString | str:
        return link_to(file.waits_for)

    @admin.display(description="size")
    def size(self, file: BatchFile) -> str:
        return filesizeformat(file.size_bytes)

    @admin.display(description="took")
    def took(self, file: BatchFile) -> str:
        return span(file.started_at, file.finished_at)

    @admin.display(description="attempts")
    def attempts_link(self, file: BatchFile) -> SafeString:
        text = f"{file.attempts} attempt{'s' if file.attempts != 1 else ''}"
        return link_to_list(FileAttempt, text, row__id__exact=file.pk)

    @admin.display(description="progress")
    def progress_shown(self, file: BatchFile) -> str:
        return f"{file.progress:.0%}"

    @admin.display(description="flags")
    def flags(self, file: BatchFile) -> str:
        flags = {
            "held back": file.is_held,
            "in need of much memory": file.is_heavy,
            "to be cancelled": file.cancel_requested,
            "never shared with the same bytes of others": not file.work_key,
        }
        return ", ".join(name for name, is_set in flags.items() if is_set) or "none"

    @admin.display(description="result")
    def result_shown(self, file: BatchFile) -> str:
        if not hasattr(file, "result"):
            return "none"
        result = file.result
        parts = (
            f"{result.pages} pages, {result.words} words",
            f"language {result.language}" if result.language else "",
            f"quality {result.quality}",
            f"by {result.engine}, run {result.run}",
        )
        return ", ".join(filter(None, parts))
