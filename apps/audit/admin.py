"""The audit log in the admin: to be read, and found in."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import json
import uuid
from datetime import UTC, date, datetime, time, timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.audit.checkpoints import trusted_keys
from apps.audit.models import AuditEntry, Checkpoint
from apps.audit.naming import NoSuchLog, chain_named
from apps.audit.signing import is_signed
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


class ActorFilter(TextFilter):
    """By the whole address of who did it, which an index finds."""

    title = "who"
    parameter_name = "actor"
    asks_for = "Whole e-mail address"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        email = (self.value() or "").strip().lower()
        return queryset.filter(actor_name=email) if email else queryset

    def found(self) -> str:
        return self.value() or ""


class LogFilter(TextFilter):
    """By the organization whose log it is."""

    title = "log"
    parameter_name = "log"
    asks_for = "Id or whole name of an organization, or system"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        try:
            return queryset.filter(chain=chain_named(self.value() or ""))
        except NoSuchLog:
            return queryset.none()

    def found(self) -> str:
        try:
            return chain_named(self.value() or "") if self.value() else ""
        except NoSuchLog as error:
            return str(error)


class DayFilter(TextFilter):
    """By the day (UTC) on which it was done."""

    title = "day"
    parameter_name = "day"
    asks_for = "2026-01-31"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        day = self._day()
        if day is None:
            return queryset.none()
        start = int(datetime.combine(day, time.min, UTC).timestamp() * 1000)
        ends = start + int(timedelta(days=1) / timedelta(milliseconds=1))
        # Read off the ids, which sort by time and have an index.
        first, last = (uuid.UUID(int=each << 80) for each in (start, ends))
        return queryset.filter(pk__gte=first, pk__lt=last)

    def found(self) -> str:
        return str(self._day() or "no such day") if self.value() else ""

    def _day(self) -> date | None:
        try:
            return date.fromisoformat((self.value() or "").strip())
        except ValueError:
            return None


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
    list_filter = (
        LogFilter,
        ActionFilter,
        ActorFilter,
        DayFilter,
        MadeFilter,
        ("organization", LinkedFilter),
    )
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
        ("Chain", {"fields": ("chain_id", "number", "previous", "hash", "signed_by")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Joined, an organization that was deleted is None; asked for by itself, it is an error.
        return super().get_queryset(request).select_related("organization")

    @admin.display(description="signed")
    def signed_by(self, entry: AuditEntry) -> SafeString | str:
        """The first checkpoint that speaks of it, or of an entry after it."""
        rows = Checkpoint.objects.filter(chain=entry.chain_id, number__gte=entry.number)
        found = rows.order_by("number").first()
        return link_to(found) if found else "Not yet: its log is signed on schedule."

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


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly):
    """What was signed, and whether the key that did is trusted here."""

    list_display = ("at", "chain", "number", "key", "is_signed")
    list_filter = (LogFilter, MadeFilter)
    ordering = ("-id",)
    sortable_by = ()
    id_lookups = ("pk",)
    search_help_text = "A checkpoint's id or its start."
    fields = ("id", "at", "chain", "number", "hash", "key", "signature", "is_signed")

    @admin.display(description="signature holds", boolean=True)
    def is_signed(self, checkpoint: Checkpoint) -> bool:
        return is_signed(checkpoint.signed(), trusted_keys())
