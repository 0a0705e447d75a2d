"""The audit log in the admin: to be read, and found in."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import json

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.audit.models import AuditEntry
from apps.core.admin import LinkedFilter, MadeFilter, ReadOnly, TextFilter, link_to

REASON_SHOWN = 80
"""Characters of a reason in the list."""


class ActionFilter(TextFilter):
    """By the whole code of an action, which an index finds."""

    title = "action"
    parameter_name = "action"
    asks_for = "Code, such as job.cancel"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(action=self.value()) if self.value() else queryset

    def found(self) -> str:
        return self.value() or ""


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = (
        "at",
        "actor_name",
        "action",
        "target_shown",
        "organization_link",
        "reason_start",
    )
    list_filter = (ActionFilter, MadeFilter, ("organization", LinkedFilter))
    ordering = ("-id",)
    sortable_by = ()
    id_lookups = ("pk", "target_id", "organization")
    email_lookups = ("actor_name",)
    search_help_text = (
        "An entry's id or its start, the id of what it was done to or of an organization, or the "
        "whole e-mail address of who did it."
    )
    fieldsets = (
        (None, {"fields": ("id", "at", "actor_name", "actor_id", "organization_link")}),
        ("What", {"fields": ("action", "target", "target_id", "reason", "detail_shown")}),
        ("Chain", {"fields": ("chain_id", "number", "previous", "hash")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Joined, an organization that was deleted is None; asked for by itself, it is an error.
        return super().get_queryset(request).select_related("organization")

    @admin.display(description="target")
    def target_shown(self, entry: AuditEntry) -> str:
        return f"{entry.target} {entry.target_id}".strip() or "-"

    @admin.display(description="organization")
    def organization_link(self, entry: AuditEntry) -> SafeString | str:
        if entry.organization_id is None:
            return "-"
        return link_to(entry.organization) if entry.organization else str(entry.organization_id)

    @admin.display(description="reason")
    def reason_start(self, entry: AuditEntry) -> str:
        text = entry.reason
        return text if len(text) <= REASON_SHOWN else f"{text[:REASON_SHOWN]}..."

    @admin.display(description="detail")
    def detail_shown(self, entry: AuditEntry) -> SafeString | str:
        text = json.dumps(json.loads(entry.detail), indent=2, ensure_ascii=False)
        return format_html('<pre tabindex="0">{}</pre>', text)
