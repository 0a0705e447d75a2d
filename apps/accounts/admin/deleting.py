"""What may be deleted in the admin, and what stands against it."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any

from django.contrib import admin, messages
from django.db.models import PROTECT, Model, ProtectedError, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from apps.accounts.admin.recording import Recorded
from apps.accounts.models import ApiKey, Membership, Organization
from apps.core.admin import (
    COUNT_LIMIT,
    Listing,
    link_to_list,
)

LISTED = 50
"""Rows that go with what is deleted and are named one by one."""


class KeptWhileOwning(Recorded, Listing):
    """Rows that are deleted one at a time, and only when nothing is lost that nobody named."""

    def hindrances(self, obj: Any) -> list[str]:
        """What stands against deleting `obj`, in sentences that say what to do first."""
        raise NotImplementedError

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Django would load and list every row that stands against it.
        told = [sentence for obj in objs for sentence in self.hindrances(obj)]
        if told:
            return [], {}, set(), told
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        if sum(counts.values()) > LISTED:
            deleted = [*deleted[:1], "with all that is counted above"]
        # These two are never deleted by themselves in the admin, and always go with their owner.
        own = {Membership._meta.verbose_name, ApiKey._meta.verbose_name}
        return deleted, counts, lacking - own, protected

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ProtectedError:
            told = "Something was added meanwhile that stands against it. Nothing was deleted."
            self.message_user(request, told, messages.ERROR)
            return redirect(request.path)


def related(model: type[Model], on_delete: Any) -> list[tuple[type[Model], str]]:
    """Whose rows point to rows of `model` with that rule for its deletion, and by which field."""
    related: Any = model._meta.related_objects
    return [
        (each.related_model, each.field.name) for each in related if each.on_delete is on_delete
    ]


def owned_by(organization: Organization) -> list[str]:
    """What the organization owns and is not deleted for, in sentences; counts are bounded."""
    told = []
    for model, field in related(Organization, PROTECT):
        rows = model._default_manager.filter(**{field: organization})
        count = bounded(rows)
        if count:
            told.append(_told(model, count, organization))
    return told


def _told(model: type[Model], count: str, organization: Organization) -> str:
    if not admin.site.is_registered(model):
        return f"{organization} owns {model._meta.verbose_name_plural}: {count}."
    name = str(model._meta.verbose_name_plural)
    link = link_to_list(model, f"{name}: {count}", organization=organization.pk)
    return format_html("{} owns {}.", organization, link)


def bounded(rows: QuerySet) -> str:
    """How many rows there are, as text; empty for none."""
    count = rows.order_by()[: COUNT_LIMIT + 1].count()
    if count > COUNT_LIMIT:
        return f"more than {COUNT_LIMIT:,}"
    return str(count) if count else ""


def lists_of(*models: type[Model], **filters: object) -> SafeString:
    """Links to the lists of `models`, filtered."""
    names = [(model, capfirst(str(model._meta.verbose_name_plural))) for model in models]
    return format_html_join(
        ", ", "{}", ((link_to_list(model, name, **filters),) for model, name in names)
    )
