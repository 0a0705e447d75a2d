"""API keys in the admin."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from django.contrib import admin
from django.utils.safestring import SafeString

from apps.accounts.actor import Actor
from apps.accounts.admin.organizations import OrganizationFilter
from apps.accounts.models import ApiKey, User
from apps.accounts.roles import Role
from apps.accounts.services import revoke_key
from apps.core.admin import (
    LinkedFilter,
    link_to,
    one_of,
)
from apps.core.admin_actions import ServiceAction, ServiceAdmin, Skipped


def _revoke(user: User, key: ApiKey) -> None:
    if not revoke_key(actor=Actor.operator(user, key.organization), key=key):
        raise Skipped("It was revoked before.")


@admin.register(ApiKey)
class ApiKeyAdmin(ServiceAdmin):
    """Keys are made where their token can be shown; here they are seen and revoked."""

    list_display = (
        "name",
        "prefix",
        "owner",
        "organization_link",
        "role",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    fields = ("id", *list_display)
    list_select_related = ("user", "organization")
    list_filter = (
        one_of("role", tuple(Role)),
        ("revoked_at", admin.EmptyFieldListFilter),
        OrganizationFilter,
        ("user", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ("created_at", "last_used_at", "expires_at", "revoked_at")
    search_fields = ("prefix", "name", "user__email", "organization__name")
    id_lookups = ("pk", "organization")
    email_lookups = ("user__email",)
    search_help_text = (
        "A key's id or its start, an organization's id, or a part of the key's prefix or name, its "
        "person's e-mail address, or its organization's name."
    )
    service_actions = (
        ServiceAction(
            name="revoke",
            label="Revoke",
            done="Revoked",
            effect="Programs that use these keys are refused from their next request on. A "
            "revoked key cannot be used again.",
            permission="accounts.change_apikey",
            perform=_revoke,
            fits=lambda key: key.revoked_at is None,
        ),
    )

    @admin.display(description="owner")
    def owner(self, key: ApiKey) -> SafeString | str:
        return link_to(key.user)

    @admin.display(description="organization")
    def organization_link(self, key: ApiKey) -> SafeString | str:
        return link_to(key.organization)
