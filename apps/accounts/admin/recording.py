"""What operators change of people and organizations, in the audit log.

Django keeps a history of its own for each row, which goes with its person and which nothing proves.
"""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from apps.accounts.models import Organization, User
from apps.audit.services import record


class Recorded(admin.ModelAdmin):
    """Leaves an entry for whatever its forms add, change or delete: in the log of the organization
    that it is, or in that of the system."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Where several are deleted at once, which Django does in no transaction."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        with transaction.atomic():
            return super().changelist_view(request, extra_context)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record(request, obj, "add", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record(request, obj, "change", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        for obj in queryset:
            _record(request, obj, "delete", "")
        return super().log_deletions(request, queryset)


def _record(request: HttpRequest, obj: Model, what: str, message: Any) -> None:
    assert isinstance(request.user, User)
    kind = str(obj._meta.model_name)
    detail: dict[str, Any] = {"name": str(obj), "changed": message or []}
    if isinstance(obj, User):
        rights = ("is_active", "is_staff", "is_superuser")
        detail |= {name: getattr(obj, name) for name in rights}
        if what != "delete":
            detail["groups"] = sorted(obj.groups.values_list("name", flat=True))
    record(
        organization=obj if isinstance(obj, Organization) else None,
        actor=request.user,
        action=f"admin.{what}",
        target=kind,
        target_id=obj.pk,
        detail=detail,
    )
