"""What people were told, for operators to look at."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from apps.core.admin import LinkedFilter, MadeFilter, ReadOnly, link_to, one_of, state_of
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification
from apps.queue.models import WorkItem


@admin.register(Notification)
class NotificationAdmin(ReadOnly):
    """Who was told what, whether they read it, and what became of its mail."""

    list_display = ("title", "person", "organization_link", "told_at", "read", "mail_state")
    list_select_related = ("user", "organization")
    list_filter = (
        one_of("kind", [(kind.name, kind.label) for kind in KINDS.values()]),
        MadeFilter,
        ("organization", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    id_lookups = ("pk", "organization", "mail")
    email_lookups = ("user__email",)
    search_help_text = "The id of a notification, an organization or a mail, or a person's address."
    fields = (
        "id",
        "title",
        "text",
        "kind",
        "key",
        "person",
        "organization_link",
        "created_at",
        "told_at",
        "read_at",
        "is_shown",
        "mail_state",
        "mail_link",
        "mail_due_at",
        "mailed_at",
    )

    @admin.display(description="title")
    def title(self, row: Notification) -> str:
        return Truncator(row.told.title).chars(80)

    @admin.display(description="text")
    def text(self, row: Notification) -> str:
        return row.told.text

    @admin.display(description="person")
    def person(self, row: Notification) -> SafeString | str:
        return link_to(row.user)

    @admin.display(description="organization")
    def organization_link(self, row: Notification) -> SafeString | str:
        return link_to(row.organization)

    @admin.display(description="read", boolean=True)
    def read(self, row: Notification) -> bool:
        return row.read_at is not None

    @admin.display(description="mail")
    def mail_state(self, row: Notification) -> SafeString | str:
        if row.mail_due_at:
            return state_of("due")
        if row.mail:
            return state_of("queued")
        return state_of("sent") if row.mailed_at else "-"

    @admin.display(description="its mail")
    def mail_link(self, row: Notification) -> SafeString | str:
        item = WorkItem.objects.filter(pk=row.mail).first() if row.mail else None
        return link_to(item) if item else format_html("{}", "-")
